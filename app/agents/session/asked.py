"""A question of an agent in the form that is stored and shown: masked, with its time limit (contract 15.8)."""

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
# Limits of a question in the state of a run; the run's log has the whole question.
_TOOL_CALL_BYTES = 16 * 2**10
_TEXT_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A question for people; its texts are masked and can be stored."""

    kind: QuestionKind
    id: UUID = field(default_factory=new_id)
    title: str = ""
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
        """The id of the question in the run's log and for clients."""
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
    """Return a question for the state of its run: forms and URLs as permissions, since all clients can show those."""
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
    """Return a tool call; if it is too long to be shown, only the fields that identify it."""
    if len(orjson.dumps(tool_call)) <= _TOOL_CALL_BYTES:
        return tool_call
    return {
        key: value[:_TEXT_CHARACTERS]
        for key in ("toolCallId", "title", "kind", "status")
        if isinstance(value := tool_call.get(key), str)
    }


def describe(tool_call: dict[str, Any]) -> str:
    """Return a description of a tool call: its command, or else its content, or else its input as JSON."""
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
