"""Live streams of runs (contract 6.4): first the events that the client has missed, then new ones.

An `event: gap` reports the events that it cannot get. No database session is held while a stream is open.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

import orjson
import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_stream import read_ends, read_events
from app.clients.live_events.run_events import EventId, EventKind, RunEvent
from app.clients.live_events.run_followers import Subscription
from app.clients.live_events.server_sent_events import encode
from app.db import SessionFactory, unit_of_work
from app.db.statements import rows_of
from app.enums import TERMINAL_STATUSES
from app.errors import NotFound
from app.json_types import JsonDict
from app.models import Run, Task
from app.outages import REDIS_ERRORS, DatabaseUnavailable
from app.schemas.runs.stream import StreamQuery
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.notifications import presence
from app.services.notifications.stream_presence import Watcher
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, state_event
from app.services.streams.frames import KEEPALIVE, RETRY, ROTATED, keepalive
from app.services.streams.stream_clients import StreamClients

_COMPLETE = encode(b'{"status":"complete"}', name=b"stream-end")
_NOT_AVAILABLE = encode(b'{"error":"Stream not available"}', name=b"error")
_PAGE_EVENTS = 100
_STATES = frozenset({EventKind.OPENED, EventKind.STATE, EventKind.ENDED})
_LATEST = "latest"
# Ids that clients send before they have seen an event.
_NOTHING_SEEN = frozenset({"", "0", "0-0"})

log = structlog.get_logger(__name__)


class StreamStart(Enum):
    """The place where a run's live stream starts if the client names no valid event after which it continues."""

    BEGINNING = auto()
    LATEST = auto()
    # The client's id is not one of ours.
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """The run that a live stream follows, in its state at the time of the request."""

    id: UUID
    is_over: bool
    # The run as an event, and the URL of the whole log.
    state: bytes
    reload: str
    # The device that watches the run, if the client names one.
    watcher: Watcher | None


async def open_stream(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, device_id: UUID | None
) -> FollowedRun:
    """Return a run for a client to follow. If `device_id` is given, record that this device shows the run's task."""
    statement = (
        select(*STATE_COLUMNS).join(Task, Task.id == Run.task_id).where(visible_run(caller, task_id, run_id))
    )
    found = await rows_of(session, statement, RunState)
    if not found:
        raise NotFound
    (run,) = found
    watcher = None
    if device_id is not None:
        expires_at = await presence.beat(session, caller, task_id, device_id)
        watcher = Watcher(caller, task_id, device_id, expires_at)
    return FollowedRun(
        id=run_id,
        is_over=run.status in TERMINAL_STATUSES,
        state=state_event(run),
        reload=f"/api/projects/{caller.project.id}/tasks/{task_id}/runs/{run_id}/session_logs",
        watcher=watcher,
    )


async def follow_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    query: StreamQuery,
    clients: StreamClients,
) -> AbstractAsyncContextManager["RunFollower"]:
    """Return the live stream of a run from where a client asks for it."""
    run = await open_stream(session, caller, task_id, run_id, device_id=query.device_id)
    last_event_id = (query.last_event_id or "").strip()
    start: EventId | StreamStart = StreamStart.LATEST if query.start == _LATEST else StreamStart.BEGINNING
    if last_event_id not in _NOTHING_SEEN:
        start = EventId.parse(last_event_id) or StreamStart.UNKNOWN
    return follow(run, start, clients)


@asynccontextmanager
async def follow(
    run: FollowedRun, start: EventId | StreamStart, clients: StreamClients, *, topic: str | None = None
) -> AsyncGenerator["RunFollower", None]:
    async with AsyncExitStack() as stack:
        if run.watcher is not None:
            await stack.enter_async_context(clients.watchers.watching(run.watcher))
        subscription = await stack.enter_async_context(clients.hub.follow(run.id))
        yield RunFollower(run, start, subscription, clients, topic)


class RunFollower:
    """The live stream of a run for one client, as lists of events (`events`) or as server-sent events (`frames`)."""

    def __init__(
        self,
        run: FollowedRun,
        start: EventId | StreamStart,
        subscription: Subscription,
        clients: StreamClients,
        topic: str | None,
    ) -> None:
        self._run = run
        self._start = start
        self._subscription = subscription
        self._clients = clients
        self._topic = topic
        # The last event that the client has, and the last state event.
        self._last: EventId | None = None
        self._last_state: EventKind | None = None
        self._has_ended = False
        # Whether the stream ended with the end of the run before this client came.
        self._is_ended = False
        self._is_unavailable = False
        self._ends_at = math.inf

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will follow: the stream has yielded the run's last event, or the task was deleted."""
        return self._has_ended or self._subscription.is_run_deleted

    @property
    def run_ids(self) -> Collection[UUID]:
        return (self._run.id,)

    def end(self) -> None:
        """End the client's stream: `frames` and `events` stop soon."""
        self._subscription.end()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events as bytes until the run has ended or the client must reconnect, as the last says."""
        yield RETRY
        async with aclosing(self.events()) as batches:
            async for events in batches:
                yield b"".join([event.frame for event in events]) or self._keepalive()
        if self._is_unavailable:
            yield _NOT_AVAILABLE
        elif self._has_ended:
            yield _COMPLETE
        elif self._is_old and not self._subscription.is_over:
            yield ROTATED

    async def events(self) -> AsyncGenerator[Sequence[RunEvent], None]:
        """Yield lists of events, with gaps; an empty one after an interval without. Ends as `frames` does."""
        opened = _now()
        self._ends_at = opened + self._clients.life
        try:
            async with aclosing(self._connecting(opened)) as waiting:
                async for nothing in waiting:
                    yield nothing
            if self._subscription.is_over or self._is_old:
                return
            async with aclosing(self._history()) as history:
                async for events in history:
                    yield events
            if self._last_state is EventKind.ENDED:
                self._has_ended = True
                return
            if self._is_old:
                return
            if self._run.is_over:
                # The client lacks events before the end too, unless it has reconnected after the end.
                gap = [] if self._last is None or self._is_ended else [self._gap(None, None)]
                yield [*gap, RunEvent(None, EventKind.ENDED, self._run.state)]
                self._has_ended = True
                return
            async with aclosing(self._live(opened)) as live:
                async for events in live:
                    yield events
        except REDIS_ERRORS as error:
            # The client reconnects and continues after its last event.
            log.warning("run_stream.broken_off", error=repr(error))

    def _keepalive(self) -> bytes:
        # A client that skipped earlier events may have received no id with which it can reconnect.
        is_skipping = self._start is StreamStart.LATEST and self._last is not None
        return keepalive(str(self._last).encode()) if is_skipping else KEEPALIVE

    async def _connecting(self, opened: float) -> AsyncGenerator[Sequence[RunEvent], None]:
        while not await self._subscription.is_connected(within=self._until_keepalive()):
            if self._subscription.is_over or self._is_old:
                return
            yield ()
            if _now() - opened >= self._clients.patience:
                self._is_unavailable = True
                self.end()

    async def _history(self) -> AsyncGenerator[Sequence[RunEvent], None]:
        if (gap := await self._begin()) is not None:
            yield [gap]
        if self._start is StreamStart.LATEST:
            yield ()
        is_collecting = False
        while True:
            events = await read_events(
                self._clients.redis, self._run.id, after=self._last, count=_PAGE_EVENTS
            )
            if events:
                yield self._advance(events)
            if len(events) == _PAGE_EVENTS:
                if self._is_old:
                    # The client gets the rest from its next stream, and the run's last state after that.
                    self._last_state = None
                    return
                continue
            if is_collecting:
                return
            # Collect new events from here on, then read the events since the last reading.
            self._subscription.collect(after=self._last)
            is_collecting = True

    async def _begin(self) -> RunEvent | None:
        ends = await read_ends(self._clients.redis, self._run.id)
        self._is_ended = ends is not None and ends[1].kind is EventKind.ENDED
        if self._start is StreamStart.LATEST:
            self._last = ends and ends[1].id
            return None
        if ends is None:
            return self._gap(None, None)
        first, last = ends
        assert first.id is not None
        assert last.id is not None
        if self._start is StreamStart.BEGINNING:
            is_whole = first.kind is EventKind.OPENED
            return None if is_whole else self._gap(first.id.number - 1 or None, first.id)
        resumed = self._start
        if not isinstance(resumed, EventId) or resumed.epoch != last.id.epoch or resumed > last.id:
            # The id is invalid, or of a stream before Redis was emptied.
            return self._gap(None, first.id)
        # If the first stored event is of an earlier epoch, none of this epoch is missing.
        if resumed < first.id and (lost := first.id.number - resumed.number - 1) > 0:
            return self._gap(lost, first.id)
        self._last = resumed
        return None

    async def _live(self, opened: float) -> AsyncGenerator[Sequence[RunEvent], None]:
        while not self._is_old:
            events = await self._subscription.take(within=self._until_keepalive())
            if new := self._advance(events):
                yield new
            if self._last_state is EventKind.ENDED:
                self._has_ended = True
                return
            if self._subscription.is_over:
                return
            if not events:
                yield ()
                if self._last is None and _now() - opened >= self._clients.patience:
                    self._is_unavailable = True
                    return

    @property
    def _is_old(self) -> bool:
        return _now() >= self._ends_at

    def _until_keepalive(self) -> float:
        return min(self._clients.keepalive, self._ends_at - _now())

    def _advance(self, events: Iterable[RunEvent]) -> Sequence[RunEvent]:
        new: list[RunEvent] = []
        for event in events:
            if event.id is not None:
                if self._has(event.id):
                    continue
                if (gap := self._hole_before(event.id)) is not None:
                    new.append(gap)
                self._last = event.id
            # Nearly all events are entries, for which nothing more is decided.
            is_entry = event.kind is EventKind.ENTRY
            new.append(event if is_entry else self._with_link(event))
            if not is_entry and event.kind in _STATES:
                self._last_state = event.kind
        return new

    def _has(self, id_: EventId) -> bool:
        last = self._last
        return last is not None and id_.epoch == last.epoch and id_.number <= last.number

    def _hole_before(self, id_: EventId) -> RunEvent | None:
        last = self._last
        if last is None or id_ == (last.epoch, last.number + 1):
            return None
        return self._gap(id_.number - last.number - 1 if id_.epoch == last.epoch else None, id_)

    def _with_link(self, event: RunEvent) -> RunEvent:
        match event.kind:
            case EventKind.GAP:
                return self._gap(orjson.loads(event.data)["lost"], None, id_=event.id)
            case EventKind.OMITTED:
                omitted: JsonDict = orjson.loads(event.data) | {"reload": self._run.reload}
                return RunEvent(event.id, event.kind, orjson.dumps(omitted))
            case _:
                return event

    def _gap(self, lost: int | None, first: EventId | None, *, id_: EventId | None = None) -> RunEvent:
        gap = {
            "type": "gap",
            "lost": lost,
            "first_available_id": None if first is None else str(first),
            "reload": self._run.reload,
        }
        topic = {} if self._topic is None else {"topic": self._topic}
        return RunEvent(id_, EventKind.GAP, orjson.dumps(gap | topic))


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Ended(NamedTuple):
    run: RunState
    deleted: bool


async def final_states(sessions: SessionFactory, run_ids: Collection[UUID]) -> Mapping[UUID, bytes | None]:
    """Return the last stream event, as JSON, of each run that has ended; None for one of a deleted task."""
    statement = (
        select(*STATE_COLUMNS, Task.deleted)
        .join(Task, Task.id == Run.task_id)
        .where(Run.id.in_(run_ids), or_(Run.status.in_(TERMINAL_STATUSES), Task.deleted))
    )
    try:
        async with unit_of_work(sessions) as session:
            rows = await rows_of(session, statement, _Ended)
    except DatabaseUnavailable as error:
        log.warning("run_stream.not_looked_up", error=repr(error))
        return {}
    return {run.id: None if deleted else state_event(run) for run, deleted in rows}
