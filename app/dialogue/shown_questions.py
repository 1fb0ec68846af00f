"""A question of an agent, as it is stored and shown to people."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

import orjson

from app.clock import utcnow
from app.enums import QuestionKind
from app.ids import new_id
from app.json_types import JsonDict

TITLE_CHARACTERS = 200
DETAIL_CHARACTERS = 4000
# How the title of a question for a message begins if the turn before it failed.
TURN_FAILED = "The agent's turn failed: "
# Limits of a question in the state of a run. The run's log has all of it.
_TOOL_CALL_BYTES = 16 * 2**10
_TEXT_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuestion:
    """A question as it is stored and shown to people. Secrets in its texts are already masked."""

    kind: QuestionKind
    id: UUID = field(default_factory=new_id)
    title: str = ""
    # The whole text; people see `shown_detail`.
    detail: str = ""
    # For a permission, a form or a URL: the whole tool call, even if it is too long to be shown.
    tool_call: JsonDict = field(default_factory=dict)
    # Each has an optionId, a name and a kind.
    options: Sequence[JsonDict] = ()
    # JSON Schema of a form's answer.
    schema: JsonDict | None = None
    url: str | None = None
    opened_at: datetime = field(default_factory=utcnow)
    expires_at: datetime | None = None

    def open_for(self, patience: timedelta) -> Self:
        """Return the question opened now, with the time until which a person may answer it."""
        now = utcnow()
        return replace(self, opened_at=now, expires_at=now + patience)

    @property
    def request_id(self) -> str:
        """The id of the question as hexadecimal text, as clients and the run's log use it."""
        return self.id.hex

    @property
    def is_cut(self) -> bool:
        """Whether the detail text is longer than 4000 characters, so that people see only its beginning."""
        return len(self.detail) > DETAIL_CHARACTERS

    @property
    def shown_detail(self) -> str:
        """The detail text as people see it: at most 4000 characters. If it is cut, a mark at its end says so."""
        if not self.is_cut:
            return self.detail
        mark = f"\n⟨cut: it has {len(self.detail)} characters⟩"
        return self.detail[: DETAIL_CHARACTERS - len(mark)] + mark

    @property
    def waiting_for(self) -> JsonDict:
        """The question as JSON for the key `waiting_for` in the state of its run."""
        return waiting_for(
            self.kind,
            self.request_id,
            title=self.title[:TITLE_CHARACTERS],
            tool_call=shorten(self.tool_call),
            options=self.options,
            since=self.opened_at,
        )


def waiting_for(
    kind: QuestionKind,
    request_id: str,
    *,
    title: str,
    tool_call: JsonDict,
    options: Sequence[JsonDict],
    since: datetime,
) -> JsonDict:
    """Return a question as JSON for the key `waiting_for` in the state of a run.

    A form or a page has the kind `permission` there, because every client can show a permission. A message has no id,
    and `failure` if the turn before it failed.
    """
    if kind is QuestionKind.MESSAGE:
        failure = {"failure": title} if title.startswith(TURN_FAILED) else {}
        return {"kind": "message", "since": since.isoformat(), **failure}
    return {
        "kind": "permission",
        "request_id": request_id,
        "tool_call": tool_call,
        "options": list(options),
        "since": since.isoformat(),
    }


def shorten(tool_call: JsonDict) -> JsonDict:
    """Return a tool call as a run's state shows it: above 16 KiB of JSON only its id, title, kind and status."""
    if len(orjson.dumps(tool_call)) <= _TOOL_CALL_BYTES:
        return tool_call
    return {
        key: value[:_TEXT_CHARACTERS]
        for key in ("toolCallId", "title", "kind", "status")
        if isinstance(value := tool_call.get(key), str)
    }
