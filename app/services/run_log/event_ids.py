"""Recognise repeated events of a run by their `event_id`: each is kept and published once (contract 13.16).

Callers hold the lock of the run's log (`log_writer.py`), so that reads and writes of a run's ids never interleave.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, any_, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Run, RunEventId
from app.services.sweeping import delete_batch

# Ids are kept for this long after the end of the run.
_LIFETIME = timedelta(days=1)


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


@dataclass(slots=True)
class NewEvents:
    """The part of the stream events of one request that the run does not have yet."""

    published: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    ids: dict[str, bool] = field(default_factory=dict)


def carries_ids(events: Iterable[LogEvent]) -> bool:
    """Return whether any of these events has an `event_id`, so that it may be a repetition."""
    return any(event.id is not None for event in events)


async def select_new(session: AsyncSession, run_id: UUID, events: Iterable[LogEvent]) -> NewEvents:
    """Return those events that the run does not have yet, according to their `event_id`s. Nothing is stored.

    Events without an id are always new. A part of a streamed message is only in `published` of the result. The whole
    message follows with the id of its last part, and is then only in `lines`.
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
    """Store the `event_id`s of a run's events. `ids` maps each id to whether the log contains its event.

    An id that is stored already is not stored twice; once stored as contained in the log, it stays so.
    """
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
    """Delete a batch of stored event ids of runs that ended at least a day ago; return the number of deleted ids."""
    ended = select(Run.id).where(Run.completed_at <= utcnow() - _LIFETIME)
    return await delete_batch(session, RunEventId, RunEventId.run_id.in_(ended))
