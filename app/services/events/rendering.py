"""Render events of the ledger: for lists and streams of the API, and as bodies of webhook messages."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from app.enums import EventType
from app.json_types import JsonDict
from app.schemas.events import EventOut
from app.services.events.cursor import Cursor
from app.services.views.task_links import task_link

# Receivers are advised to accept bodies of this size.
_BODY_BYTES = 20_000


class EventRow(NamedTuple):
    transaction_id: int
    seq: int
    id: UUID
    project_id: int
    type: str
    task_id: UUID | None
    run_id: UUID | None
    subject_seq: int | None
    occurred_at: datetime
    data: JsonDict

    @property
    def place(self) -> Cursor:
        return Cursor(self.transaction_id, self.seq)


def event_data(event: EventRow, link: str) -> JsonDict:
    """Return the `data` of an event: its number, ids, a link by the template `link`, and its type's fields."""
    data: JsonDict = {"project_id": event.project_id}
    if event.task_id is not None:
        data["task_id"] = str(event.task_id)
        if event.run_id is not None:
            data["run_id"] = str(event.run_id)
        data["seq"] = event.subject_seq
        data["url"] = task_link(link, event.project_id, event.task_id)
    return data | event.data


def event_out(event: EventRow, link: str) -> EventOut:
    """Return an event as lists and streams show it; `link` is the template of links to tasks."""
    return {
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "timestamp": event.occurred_at,
        "data": event_data(event, link),
    }


def event_body(
    type_: str,
    at: datetime,
    data: Mapping[str, object],
    snapshot: Mapping[str, object] | None,
    *,
    full: bool,
) -> str:
    """Return the body of a webhook message, as signed; `truncated` if a full one is too large or has no snapshot."""
    if not full or "task_id" not in data:
        return _encode(type_, at, data)
    if snapshot is not None:
        body = _encode(type_, at, {**data, **snapshot})
        if len(body.encode()) <= _BODY_BYTES:
            return body
    return _encode(type_, at, {**data, "truncated": True})


def ping_body(endpoint_id: UUID, project_id: int, at: datetime) -> str:
    """Return the JSON body of a test message to a webhook endpoint, exactly as it is signed and sent."""
    return _encode(EventType.PING, at, {"project_id": project_id, "endpoint_id": str(endpoint_id)})


def _encode(type_: str, at: datetime, data: Mapping[str, object]) -> str:
    message = {"type": type_, "timestamp": at, "data": data}
    return orjson.dumps(message, option=orjson.OPT_UTC_Z).decode()
