"""A question of an agent as it is kept and shown: masked, with its time limit (contract 15.8)."""

from collections.abc import Sequence
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
# Limits of a question in the state of a run; its log has all of it.
_TOOL_CALL_BYTES = 16 * 2**10
_TEXT_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """What an agent waits for; texts are masked and can be stored."""

    kind: QuestionKind
    id: UUID = field(default_factory=new_id)
    title: str = ""
    detail: str = ""
    # Of a permission, a form or a url: the whole call, also where it is too long to be shown.
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
        """What the run's log and its clients call the question."""
        return self.id.hex

    @property
    def waiting_for(self) -> dict[str, Any]:
        """The question in the state of its run."""
        return waiting_for(
            self.kind,
            self.request_id,
            tool_call=shortened(self.tool_call),
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
    """Return what a run's state says of a question: forms and urls look like permissions, which all clients can show."""
    if kind is QuestionKind.MESSAGE:
        return {"kind": "message", "since": since.isoformat()}
    return {
        "kind": "permission",
        "request_id": request_id,
        "tool_call": tool_call,
        "options": list(options),
        "since": since.isoformat(),
    }


def shortened(tool_call: dict[str, Any]) -> dict[str, Any]:
    """Return a tool call, or what identifies it if it is too long to be shown."""
    if len(orjson.dumps(tool_call)) <= _TOOL_CALL_BYTES:
        return tool_call
    return {
        key: value[:_TEXT_CHARACTERS]
        for key in ("toolCallId", "title", "kind", "status")
        if isinstance(value := tool_call.get(key), str)
    }


def describe(tool_call: dict[str, Any]) -> str:
    """Return what a tool call would do, as text: its command, else what it shows, else its input."""
    given = tool_call.get("rawInput")
    command = given.get("command") if isinstance(given, dict) else None
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        command = " ".join(command)
    if isinstance(command, str):
        return command[:DETAIL_CHARACTERS]
    texts = [text for part in tool_call.get("content") or () if (text := _text_of(part))]
    if not texts and given:
        texts = [orjson.dumps(given, option=orjson.OPT_INDENT_2).decode()]
    return "\n".join(texts)[:DETAIL_CHARACTERS]


def _text_of(part: Any) -> str:
    if not isinstance(part, dict):
        return ""
    if part.get("type") == "diff":
        return f"{part.get('path')}\n{part.get('newText') or ''}"
    content = part.get("content")
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else ""
