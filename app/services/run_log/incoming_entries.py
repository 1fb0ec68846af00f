"""Accept log entries of clients, and events of agents outside our workers (contract 6.4, 13.4).

The events are numbered from 1; each is accepted once, even if sent again.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import DateTime, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_events import EventKind
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.coroutines.periodic import repeating
from app.db import SessionFactory, release, unit_of_work
from app.db.statements import Prepared, rows_of
from app.dialogue.agent_reports import notification_entry
from app.enums import TERMINAL_STATUSES
from app.errors import AppError, EventsMissing, StateRefused
from app.models import Run, RunLogState
from app.schemas.runs.run import RelayIn, RelayOut, RunOut
from app.schemas.runs.stream import PositionOut
from app.services.access.principal import Principal
from app.services.access.visibility import require_run
from app.services.opened_clients import ServiceClients
from app.services.run_log.log_entries import LogEvent, log_line, publish_entries
from app.services.run_log.log_writing import append_events, append_numbered
from app.services.views.runs import retrieve_run

COMPLETE_TYPE = "_posthog/stream_complete"

# Much shorter than the shortest silence that ends a run.
_SIGN_OF_LIFE_SECONDS = 15.0

_HEARD = Prepared(
    upsert(RunLogState)
    .values(run_id=bindparam("run"), heard_at=bindparam("now", type_=DateTime(timezone=True)))
    .on_conflict_do_update(
        index_elements=[RunLogState.run_id],
        set_={"heard_at": bindparam("now", type_=DateTime(timezone=True))},
    )
)


# Followers get an event through Redis, in several iterations of the event loop; `sleep(0)` waits for only one. An event
# reaches a single follower in 0.2 ms (docs/performance.md), so 1 ms is enough for a few followers.
_FOLLOWERS_FIRST_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """A stream event that an agent outside our workers sent, with its number within the run."""

    seq: int
    event: Mapping[str, object]

    @property
    def for_log(self) -> LogEvent:
        """The event with its line for the run's log. The line is empty if the event does not belong in the log."""
        is_entry = self.event.get("type") == "notification" and isinstance(
            self.event.get("notification"), Mapping
        )
        return LogEvent(self.event, log_line(self.event) if is_entry else b"")


@dataclass(frozen=True, slots=True)
class Completion:
    """The last line that an agent sends: all events up to number `final_seq` were sent, and no more will follow."""

    final_seq: int


Batch = Sequence[NumberedEvent | Completion]


@dataclass(frozen=True, slots=True)
class _Position:
    """The number of the last event that was accepted for a run, and the run's status."""

    seq: int
    status: str

    def require_running(self) -> None:
        if self.status in TERMINAL_STATUSES:
            raise StateRefused(f"Run is already {self.status}")


async def take_events(
    run: RunRef, batches: AsyncGenerator[Batch, None], clients: ServiceClients
) -> PositionOut:
    """Accept the stream events of a run's agent in batches as they arrive; return the number of the last one accepted.

    An accepted event stays accepted even if a later one is refused. A run that has ended accepts no new events. Events
    and a last line (`Completion`) that were accepted before are acknowledged even then, so that an agent that did not
    receive the response can stop.

    The number of the last accepted event is added to the message of any `AppError`, unless the error has its own body.
    Raises AppError, ObjectStoreUnavailable, Unavailable, StateRefused.
    """
    seq, is_answered = 0, False
    try:
        async with _alive(clients.sessions, run.run_id), aclosing(batches):
            position = await _look(clients.sessions, run.run_id)
            seq = position.seq
            async for batch in batches:
                seq = await _take(run, batch, clients)
                is_answered = True
            if not is_answered:
                position.require_running()
    except AppError as error:
        raise error.with_detail(f"{error.detail} Events up to number {seq} were taken.") from error
    return {"last_accepted_seq": seq}


@asynccontextmanager
async def _alive(sessions: SessionFactory, run_id: UUID) -> AsyncGenerator[None, None]:
    async def note() -> None:
        async with unit_of_work(sessions) as session:
            await _HEARD.perform(session, {"run": run_id, "now": utcnow()})

    await note()
    async with repeating(_SIGN_OF_LIFE_SECONDS, note, event="run_ingest.sign_of_life_not_noted"):
        yield


async def _look(sessions: SessionFactory, run_id: UUID) -> _Position:
    statement = (
        select(Run.status, RunLogState.accepted_seq)
        .outerjoin(RunLogState, RunLogState.run_id == Run.id)
        .where(Run.id == run_id)
    )
    async with unit_of_work(sessions) as session:
        ((status, accepted_seq),) = await rows_of(session, statement)
    return _Position(accepted_seq or 0, status)


async def _take(run: RunRef, batch: Batch, clients: ServiceClients) -> int:
    sessions, events = clients.sessions, clients.events
    position = await _look(sessions, run.run_id)
    after = position.seq
    numbered = [each for each in batch if isinstance(each, NumberedEvent)]
    if any(each.seq > position.seq for each in numbered):
        position.require_running()
        after, new = await append_numbered(
            sessions, clients.store, run, [(each.seq, each.for_log) for each in numbered]
        )
        publish_entries(events, run.run_id, new)
    for each in batch:
        last = each.final_seq if isinstance(each, Completion) else each.seq
        if last > after:
            await events.settle()
            raise EventsMissing(last_accepted_seq=after)
        if isinstance(each, Completion) and await _complete(sessions, run.run_id, after):
            publish_entries(events, run.run_id, [{"type": COMPLETE_TYPE, "final_seq": after}])
    # The client's next events, perhaps to another process, must not overtake these.
    await events.settle()
    return after


async def _complete(sessions: SessionFactory, run_id: UUID, seq: int) -> bool:
    completing = (
        update(RunLogState)
        .where(
            RunLogState.run_id == run_id,
            or_(RunLogState.completed_seq.is_(None), RunLogState.completed_seq < seq),
            Run.id == RunLogState.run_id,
            Run.status.not_in(TERMINAL_STATUSES),
        )
        .values(completed_seq=seq)
        .returning(RunLogState.run_id)
    )
    async with unit_of_work(sessions) as session:
        return await session.scalar(completing) is not None


async def append_log(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    entries: Sequence[Mapping[str, object]],
    clients: ServiceClients,
) -> RunOut:
    """Append entries to a run's log and publish them to the run's followers; return the run.

    Concurrent writers take turns. Entries are published while the object store still writes; if storing them fails, a
    gap is published (ADR 13). Raises ObjectStoreUnavailable, Unavailable.
    """
    run: RunOut | None = None

    async def read() -> None:
        nonlocal run
        run = await retrieve_run(session, caller, task_id, run_id, store=clients.store)
        await release(session)

    await release(session)
    ref = RunRef(caller.project.id, task_id, run_id)
    await _append(clients, ref, entries, caller, before_storing=read)
    assert run is not None
    return run


async def relay_message(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: RelayIn,
    clients: ServiceClients,
) -> RelayOut:
    """Append a message of the run's agent to the run's log, and publish it to the run's followers (contract 13.7)."""
    await release(session)
    entry = notification_entry("_taskbeacon/relay_message", body.model_dump(exclude_unset=True))
    await _append(clients, RunRef(caller.project.id, task_id, run_id), [entry], caller)
    return {"status": "skipped"}


async def _append(
    clients: ServiceClients,
    ref: RunRef,
    entries: Sequence[Mapping[str, object]],
    caller: Principal,
    *,
    before_storing: Callable[[], Awaitable[None]] | None = None,
) -> None:
    # Entries are published as soon as no other writer can put lines before them. If storing them fails then, followers
    # get a gap, and read the log.
    sessions, events = clients.sessions, clients.events
    is_published = False

    async def publish(new: Sequence[Mapping[str, object]]) -> None:
        nonlocal is_published
        is_published = True
        publish_entries(events, ref.run_id, new)
        # Before the request to the store, which keeps this process busy for longer than serving the run's followers.
        await events.settle()
        await asyncio.sleep(_FOLLOWERS_FIRST_SECONDS)
        if before_storing is not None:
            # If this failed after storing, the client would send entries again that are stored.
            await before_storing()

    log_events = [LogEvent(entry, log_line(entry)) for entry in entries]
    if not any(event.line or event.id for event in log_events):
        # All entries are chunks of messages, which are not logged.
        async with unit_of_work(sessions) as session:
            await require_run(session, caller, ref.task_id, ref.run_id)
        await publish(entries)
        return
    try:
        await append_events(sessions, clients.store, ref, log_events, caller=caller, when_locked=publish)
    except BaseException:
        if is_published:
            # So that followers read the log again.
            events.put(ref.run_id, b'{"type":"gap","lost":null}', kind=EventKind.GAP)
        raise
