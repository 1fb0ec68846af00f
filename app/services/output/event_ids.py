"""The `event_id`s that a run has taken: each is kept and published once, whichever way brings it first (contract 13.16).

An agent outside our workers sends each event twice, to `event_stream` and to `append_log`. Callers hold the turn of the
run's log (`log_writer.py`), so that lookups and notes of one run never interleave.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, Text, any_, delete, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Run, RunEventId

# How long after the end of its run an event is still recognised.
_LIFETIME = timedelta(days=1)


class LogEvent(NamedTuple):
    """An event, and its line in the log; the line is empty if no log has a place for it."""

    event: Mapping[str, Any]
    line: bytes

    @property
    def id(self) -> str | None:
        """The `event_id`; None for one that is absent or that the database could not keep."""
        id_ = self.event.get("event_id")
        is_usable = isinstance(id_, str) and 0 < len(id_) <= RunEventId.LONGEST and "\x00" not in id_
        return id_ if is_usable else None


@dataclass(slots=True)
class NewEvents:
    """The events of a request that the run does not have yet."""

    # For the followers of the run, and for its log.
    published: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    # By id, whether the log has it now.
    ids: dict[str, bool] = field(default_factory=dict)


def carries_ids(events: Iterable[LogEvent]) -> bool:
    """Return whether any of these events has an id, so that it may have come before."""
    return any(event.id is not None for event in events)


async def select_new(session: AsyncSession, run_id: UUID, events: Iterable[LogEvent]) -> NewEvents:
    """Return the events that the run does not have yet, each id once.

    An id that was only published, as a piece of a message is, can still be kept: the whole message has the id of its
    last piece.
    """
    events = list(events)
    ids = [event.id for event in events if event.id is not None]
    rows = await session.execute(
        select(RunEventId.event_id, RunEventId.kept).where(
            RunEventId.run_id == run_id, RunEventId.event_id == any_(literal(ids, ARRAY(Text)))
        )
    )
    known: dict[str, bool] = {row.event_id: row.kept for row in rows}
    new = NewEvents()
    for event in events:
        kept = known.get(event.id) if event.id is not None else None
        if kept is None:
            new.published.append(event.event)
        if event.line and not kept:
            new.lines.append(event.line)
        if event.id is not None and (kept is None or (event.line and not kept)):
            known[event.id] = new.ids[event.id] = bool(event.line)
    return new


async def note_ids(session: AsyncSession, run_id: UUID, ids: Mapping[str, bool]) -> None:
    """Remember ids, and whether the log has their events."""
    if not ids:
        return
    rows = [{"run_id": run_id, "event_id": id_, "kept": kept} for id_, kept in ids.items()]
    statement = upsert(RunEventId)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[RunEventId.run_id, RunEventId.event_id],
            set_={"kept": or_(RunEventId.kept, statement.excluded.kept)},
        ),
        rows,
    )


async def sweep_event_ids(session: AsyncSession) -> int:
    """Remove the ids of runs that ended a day ago or earlier; return how many there were."""
    swept = await session.execute(
        delete(RunEventId).where(
            RunEventId.run_id == Run.id,
            Run.completed_at.is_not(None),
            Run.completed_at <= utcnow() - _LIFETIME,
        )
    )
    assert isinstance(swept, CursorResult)
    return swept.rowcount
