"""Describes the tool call of an agent's request as text for people."""

import re
import shlex
from collections.abc import Iterable, Iterator
from difflib import Match, SequenceMatcher
from itertools import takewhile
from typing import Any  # JSON

import orjson

# Spaces, and characters that look like spaces.
_BLANK = re.compile(r"[\s\u00ad\u115f\u1160\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]{60,}")

# The worst texts of so many lines take 0.1 s; of longer ones, all between the first and the last change is a change.
_COMPARED_LINES = 400


def describe(tool_call: dict[str, Any]) -> str:
    """Return a tool call as text for people: the command first, then its other input, then its other content.

    A mark with their number replaces long blanks, which could move what follows out of sight.
    """
    shown = [text for part in tool_call.get("content") or () for text in _texts_of(part)]
    given = tool_call.get("rawInput")
    lines = _lines_of(given, known=frozenset(text for text, _ in shown)) if given else []
    lines += [view for text, view in shown if view and (view != text or text not in lines)]
    return _BLANK.sub(_describe_blank, "\n".join(lines))


def _lines_of(given: Any, *, known: frozenset[str]) -> list[str]:
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
    if not isinstance(part, dict):
        return
    if part.get("type") == "diff":
        path = str(part.get("path"))
        old, new = (text if isinstance(text := part.get(key), str) else "" for key in ("oldText", "newText"))
        yield from ((path, path), (old, ""), (new, "\n".join(_compare(old.splitlines(), new.splitlines()))))
        return
    content = part.get("content")
    if isinstance(content, dict) and isinstance(text := content.get("text"), str):
        yield text, text


def _compare(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield the lines of two texts: `-` removed, `+` added. What stays is shown too: the agent says what was there."""
    start = _count_same(old, new)
    end = _count_same(reversed(old[start:]), reversed(new[start:]))
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    if len(removed) + len(added) <= _COMPARED_LINES:
        blocks = SequenceMatcher(None, removed, added, autojunk=False).get_matching_blocks()
    else:
        blocks = [Match(len(removed), len(added), 0)]
    yield from (f"  {line}" for line in new[:start])
    left = right = 0
    for at, place, size in blocks:
        yield from (f"- {line}" for line in removed[left:at])
        yield from (f"+ {line}" for line in added[right:place])
        left, right = at + size, place + size
        yield from (f"  {line}" for line in added[place:right])
    yield from (f"  {line}" for line in new[len(new) - end :])


def _count_same(lines: Iterable[str], others: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(lines, others, strict=False)))


def _describe_blank(blank: re.Match[str]) -> str:
    is_spaces = not blank[0].strip(" ")
    return f"⟨{len(blank[0])} {'spaces' if is_spaces else 'blank characters'}⟩"
