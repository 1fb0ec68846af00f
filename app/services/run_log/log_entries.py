"""Entries of a run's log: decide which are stored, and publish them to the run's followers.

Events about a change are published after its commit, and may be lost (contract 6.4).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_events import MAX_EVENT_BYTES, EventKind
from app.db import after_commit
from app.enums import TERMINAL_STATUSES, RunStatus
from app.json_types import JsonDict
from app.models import Run, RunEventId

STATE_TYPE = "task_run_state"

# Only the service publishes these types; a client's entry of such a type is logged and not published.
_RESERVED_TYPES = frozenset({STATE_TYPE, "gap", "omitted", "keepalive"})


class RunState(NamedTuple):
    """The state of a run that its followers get: the `STATE_COLUMNS` of a statement that changes or reads the run."""

    id: UUID
    task_id: UUID
    status: RunStatus
    stage: str | None
    output: Any
    branch: str | None
    error_message: str | None
    updated_at: datetime
    completed_at: datetime | None


STATE_COLUMNS = [getattr(Run, name) for name in RunState._fields]
# Fields that may be too large for the stream, the least important first. Readers get them from the run itself.
_LARGE = ("output", "error_message")


def announce_state(session: AsyncSession, events: RunEvents, run: RunState, *, opened: bool = False) -> None:
    kind = EventKind.ENDED if run.status in TERMINAL_STATUSES else EventKind.STATE
    data = state_event(run)

    async def send() -> None:
        events.put(run.id, data, kind=EventKind.OPENED if opened else kind)
        # Wait, so that no later step of this request overtakes the event.
        await events.settle()

    after_commit(session, send)


def state_event(run: RunState) -> bytes:
    """Return the stream event that reports the state of a run; `omitted` names fields that are too large for it."""
    fields = run._asdict()
    state: JsonDict = {"type": STATE_TYPE, "run_id": fields.pop("id"), **fields}
    for name in _LARGE:
        data = _encode(state)
        if len(data) <= MAX_EVENT_BYTES:
            return data
        state |= {name: None, "omitted": [*state.get("omitted", ()), name]}
    return _encode(state)


def _encode(state: JsonDict) -> bytes:
    return orjson.dumps(state, default=str, option=orjson.OPT_UTC_Z)


def announce_entries(
    session: AsyncSession, events: RunEvents, entries: Iterable[tuple[UUID, Mapping[str, Any]]]
) -> None:
    lines = [(run_id, orjson.dumps(entry)) for run_id, entry in entries]
    if not lines:
        return

    def send() -> None:
        for run_id, line in lines:
            events.put(run_id, line)

    after_commit(session, send)


def publish_entries(events: RunEvents, run_id: UUID, entries: Iterable[Mapping[str, Any]]) -> None:
    """Publish log entries to the followers of a run; do not wait for the result."""
    for entry in entries:
        if not is_reserved(entry):
            events.put(run_id, orjson.dumps(entry))


def is_reserved(entry: Mapping[str, object]) -> bool:
    """Return whether a log entry has a type that only the service may publish."""
    type_ = entry.get("type")
    return isinstance(type_, str) and type_ in _RESERVED_TYPES


class LogEvent(NamedTuple):
    """A stream event that an agent reported, with the line to write for it in the run's log."""

    event: Mapping[str, Any]
    line: bytes

    @property
    def id(self) -> str | None:
        """The `event_id` of the event; None if it is absent or cannot be stored."""
        id_ = self.event.get("event_id")
        is_usable = isinstance(id_, str) and 0 < len(id_) <= RunEventId.LONGEST and "\x00" not in id_
        return id_ if is_usable else None


def log_line(entry: Mapping[str, object]) -> bytes:
    """Return an entry as a line for the log; nothing for a chunk, whose whole message follows (contract 13.4)."""
    return b"" if is_chunk(entry) else orjson.dumps(entry) + b"\n"


def is_chunk(entry: Mapping[str, object]) -> bool:
    """Return whether an entry is a part of an agent message that is being streamed (contract 13.4)."""
    notification = entry.get("notification")
    if not isinstance(notification, Mapping) or notification.get("method") != "session/update":
        return False
    parameters = notification.get("params")
    update_ = parameters.get("update") if isinstance(parameters, Mapping) else None
    return isinstance(update_, Mapping) and update_.get("sessionUpdate") == "agent_message_chunk"
