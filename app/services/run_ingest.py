"""Takes the events of an agent outside our workers: numbered from 1, each taken once, however often it is sent.

What has the form of a log entry goes to the log, and everything to those who follow the run (contract 6.4, 13.4).
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select

from app.clients.object_store import ObjectStore
from app.clients.run_events import RunEvents
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES
from app.errors import AppError, EventsMissing, StateRefused
from app.models import Run, RunLogState
from app.schemas.run_ingest import PositionOut
from app.services.run_events import tell_entries
from app.services.run_log_writer import LogRef, append_numbered, is_chunk

__all__ = ["NumberedEvent", "take_events"]


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event and its number among those of its run."""

    seq: int
    event: Mapping[str, Any]

    @property
    def line(self) -> bytes:
        """The event as a line of the log; nothing if it does not belong there."""
        is_entry = self.event.get("type") == "notification" and isinstance(
            self.event.get("notification"), Mapping
        )
        return orjson.dumps(self.event) + b"\n" if is_entry and not is_chunk(self.event) else b""


async def take_events(
    run: LogRef,
    batches: AsyncGenerator[Sequence[NumberedEvent], None],
    *,
    sessions: SessionFactory,
    store: ObjectStore,
    events: RunEvents,
) -> PositionOut:
    """Take events as they come, and return the number of the last one; what was taken stays, whatever comes after it.

    Raises:
        AppError: whatever `batches` fails with; its words then also say how far the events were taken.
        EventsMissing: a number does not follow the one before; those before it were taken.
        ObjectStoreUnavailable, Unavailable: the log could not be written; this batch was not taken.
        StateRefused: the run is over.

    """
    position = await _require_running(sessions, run.run_id)
    try:
        async with aclosing(batches):
            async for batch in batches:
                await _require_running(sessions, run.run_id)
                position = await _take(run, batch, sessions=sessions, store=store, events=events)
    except AppError as error:
        error.detail = f"{error.detail} Events up to number {position} were taken."
        raise
    return {"last_accepted_seq": position}


async def _require_running(sessions: SessionFactory, run_id: UUID) -> int:
    """Return the number of the last event that was taken of a run that is not over."""
    statement = (
        select(Run.status, RunLogState.accepted_seq)
        .outerjoin(RunLogState, RunLogState.run_id == Run.id)
        .where(Run.id == run_id)
    )
    async with unit_of_work(sessions) as session:
        row = (await session.execute(statement)).one()
    if row.status in TERMINAL_STATUSES:
        raise StateRefused(f"Run is already {row.status}")
    return row.accepted_seq or 0


async def _take(
    run: LogRef,
    batch: Sequence[NumberedEvent],
    *,
    sessions: SessionFactory,
    store: ObjectStore,
    events: RunEvents,
) -> int:
    before, after = await append_numbered(
        sessions, store, run, [(numbered.seq, numbered.line) for numbered in batch]
    )
    # Once each: a number may stand in a batch twice.
    new = {numbered.seq: numbered.event for numbered in reversed(batch) if before < numbered.seq <= after}
    tell_entries(events, run.run_id, [new[seq] for seq in sorted(new)])
    # What the client sends next, perhaps to another process, must not overtake them.
    await events.settle()
    if any(numbered.seq > after for numbered in batch):
        raise EventsMissing(after)
    return after
