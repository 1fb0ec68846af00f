"""A question of an agent as it is stored and shown to people: masked, with a time limit (contract 15.8)."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

import orjson

from app.clock import utcnow
from app.enums import QuestionKind
from app.ids import new_id

TITLE_CHARACTERS = 200
DETAIL_CHARACTERS = 4000
# Limits of a question in the state of a run; the run's log has the whole question.
_TOOL_CALL_BYTES = 16 * 2**10
_TEXT_CHARACTERS = 500
# Spaces, and characters that look like spaces.
_BLANK = re.compile(r"[\s\u00ad\u115f\u1160\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]{60,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuestion:
    """A question of an agent as it is stored and shown to people. Secrets in its texts are already masked."""

    kind: QuestionKind
    id: UUID = field(default_factory=new_id)
    title: str = ""
    # Complete; people are shown `shown_detail`.
    detail: str = ""
    # For a permission, a form or a URL: the whole tool call, even if it is too long to be shown.
    tool_call: dict[str, Any] = field(default_factory=dict)
    # Each has an optionId, a name and a kind.
    options: Sequence[dict[str, Any]] = ()
    # JSON Schema of a form's answer.
    schema: dict[str, Any] | None = None
    url: str | None = None
    opened_at: datetime = field(default_factory=utcnow)
    expires_at: datetime | None = None

    @property
    def request_id(self) -> str:
        """The id of the question as hexadecimal text, as clients and the run's log use it."""
        return self.id.hex

    @property
    def is_cut(self) -> bool:
        """Whether people see only the beginning of the detail, because it is too long."""
        return len(self.detail) > DETAIL_CHARACTERS

    @property
    def shown_detail(self) -> str:
        """The detail as people see it: at most 4000 characters. If it is cut, a mark at its end says so."""
        if not self.is_cut:
            return self.detail
        mark = f"\n⟨cut: it has {len(self.detail)} characters⟩"
        return self.detail[: DETAIL_CHARACTERS - len(mark)] + mark

    @property
    def waiting_for(self) -> dict[str, Any]:
        """The question as JSON for the key `waiting_for` in the state of its run."""
        return waiting_for(
            self.kind,
            self.request_id,
            tool_call=shorten(self.tool_call),
            options=self.options,
            since=self.opened_at,
        )


def waiting_for(
    kind: QuestionKind,
    request_id: str,
    *,
    tool_call: dict[str, Any],
    options: Sequence[dict[str, Any]],
    since: datetime,
) -> dict[str, Any]:
    """Return a question as JSON for the key `waiting_for` in the state of a run.

    A form or page has the kind `permission` there, because every client can show a permission.
    """
    if kind is QuestionKind.MESSAGE:
        return {"kind": "message", "since": since.isoformat()}
    return {
        "kind": "permission",
        "request_id": request_id,
        "tool_call": tool_call,
        "options": list(options),
        "since": since.isoformat(),
    }


def shorten(tool_call: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call as it is shown in a run's state.

    If it is longer than 16 KiB, only its id, title, kind and status stay.
    """
    if len(orjson.dumps(tool_call)) <= _TOOL_CALL_BYTES:
        return tool_call
    return {
        key: value[:_TEXT_CHARACTERS]
        for key in ("toolCallId", "title", "kind", "status")
        if isinstance(value := tool_call.get(key), str)
    }


def describe(tool_call: dict[str, Any]) -> str:
    """Return a tool call as text for people: the command first, then its other input, then its other content.

    A long run of blank characters becomes a mark with its length, because it could move the rest out of sight.
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
