"""Describes the tool call of an agent's request as text for people."""

import re
import shlex
from collections.abc import Iterator
from typing import Any  # JSON

import orjson

# Spaces, and characters that look like spaces.
_BLANK = re.compile(r"[\s\u00ad\u115f\u1160\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]{60,}")


def describe(tool_call: dict[str, Any]) -> str:
    """Return a tool call as text for people: the command first, then its other input, then its other content.

    A long sequence of blank characters is replaced by a mark that names its length, because it could move the text
    after it out of sight.
    """
    shown = [text for part in tool_call.get("content") or () for text in _texts_of(part)]
    given = tool_call.get("rawInput")
    lines = _lines_of(given, known=frozenset(text for _, text in shown)) if given else []
    lines += [_prefix_lines(mark, text) for mark, text in shown if mark or text not in lines]
    return _BLANK.sub(_describe_blank, "\n".join(lines))


def _lines_of(given: Any, *, known: frozenset[str]) -> list[str]:
    """Return the input of a tool call as lines, the command first, without texts that are shown elsewhere."""
    if not isinstance(given, dict):
        return [_words(given)]
    lines = []
    rest = dict(given)
    if command := rest.pop("command", None):
        arguments = rest.pop("args", None)
        lines.append(" ".join(_command(each) for each in (command, arguments) if each))
    for name, value in rest.items():
        if value is not None and not (isinstance(value, str) and value in known):
            # Indented, so that no line of a value looks like a name.
            lines.append(f"{name}: {_words(value)}".replace("\n", "\n  "))
    return lines


def _command(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return shlex.join(value)
    return _words(value)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _texts_of(part: Any) -> Iterator[tuple[str, str]]:
    """Yield the texts in the content of a tool call, each with the mark that begins its lines."""
    if not isinstance(part, dict):
        return
    if part.get("type") == "diff":
        yield "", str(part.get("path"))
        for mark, key in (("-", "oldText"), ("+", "newText")):
            if isinstance(text := part.get(key), str) and text:
                yield mark, text
        return
    content = part.get("content")
    if isinstance(content, dict) and isinstance(text := content.get("text"), str) and text:
        yield "", text


def _prefix_lines(mark: str, text: str) -> str:
    return "\n".join(f"{mark} {line}" for line in text.splitlines()) if mark else text


def _describe_blank(blank: re.Match[str]) -> str:
    is_spaces = not blank[0].strip(" ")
    return f"⟨{len(blank[0])} {'spaces' if is_spaces else 'blank characters'}⟩"
