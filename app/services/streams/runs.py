"""Follow a run live (contract 6.4): first the earlier events, from where the client left off, then new events.

A client never misses events without a notice: if some are lost, it gets an `event: gap` with their number, if that is
known, the first id that is still available, and the URL of the whole log. No database session is held while a stream is
open.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

import orjson
import structlog
from redis.exceptions import RedisError
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.event_hub import EventHub
from app.clients.redis import RedisClient
from app.clients.run_events import EventId, EventKind, RunEvent, read_ends, read_events
from app.clients.subscriptions import Subscription
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES
from app.errors import NotFound
from app.models import Run, Task
from app.outages import DatabaseUnavailable
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.notifications import presence
from app.services.notifications.stream_presence import StreamPresence, Watcher
from app.services.run_log.events import STATE_COLUMNS, state_event

KEEPALIVE = b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
_NOT_AVAILABLE = b'event: error\ndata: {"error":"Stream not available"}\n\n'
# The delay of a client before it reconnects, in milliseconds.
_RETRY = b"retry: 2000\n\n"
_PAGE_EVENTS = 100
_STATES = frozenset({EventKind.OPENED, EventKind.STATE, EventKind.ENDED})
_LATEST = "latest"
# Ids that clients send before they have seen an event.
_NOTHING_SEEN = frozenset({"", "0", "0-0"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamIntervals:
    """The intervals of a stream, in seconds."""

    # Between keepalives.
    keepalive: float
    # Until waiting for a stream that does not appear ends.
    patience: float
    # Until the stream ends, so that the client reconnects and is authenticated again.
    life: float

    @classmethod
    def of(cls, settings: Settings) -> "StreamIntervals":
        """Return the configured intervals."""
        return cls(
            keepalive=settings.stream_keepalive_seconds,
            patience=settings.stream_patience_seconds,
            life=settings.stream_life_seconds,
        )


class Start(Enum):
    """The start of a stream if the client names no valid event."""

    BEGINNING = auto()
    LATEST = auto()
    # The client's id is not one of ours.
    UNKNOWN = auto()


def start_of(last_event_id: str | None, start: str | None) -> EventId | Start:
    """Return the start of a stream: after the event that the client names, else as it requests."""
    text = (last_event_id or "").strip()
    if text not in _NOTHING_SEEN:
        return EventId.parse(text) or Start.UNKNOWN
    return Start.LATEST if start == _LATEST else Start.BEGINNING


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A run at the time when its stream was requested."""

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
    """Return the run to follow; from now on the device counts as watching.

    Raises:
        NotFound: there is no such run for this caller, or the device is not one of theirs.

    """
    statement = (
        select(*STATE_COLUMNS).join(Task, Task.id == Run.task_id).where(visible_run(caller, task_id, run_id))
    )
    row = (await session.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound
    watcher = None
    if device_id is not None:
        expires_at = await presence.beat(session, caller, task_id, device_id)
        watcher = Watcher(caller, task_id, device_id, expires_at)
    return FollowedRun(
        id=run_id,
        is_over=row["status"] in TERMINAL_STATUSES,
        state=state_event(row),
        reload=f"/api/projects/{caller.project.id}/tasks/{task_id}/runs/{run_id}/session_logs",
        watcher=watcher,
    )


@asynccontextmanager
async def follow(
    run: FollowedRun,
    start: EventId | Start,
    *,
    hub: EventHub,
    redis: RedisClient,
    watchers: StreamPresence,
    intervals: StreamIntervals,
) -> AsyncGenerator["RunFrames", None]:
    """Yield the follower of a run; its device counts as watching until the block ends."""
    async with AsyncExitStack() as stack:
        if run.watcher is not None:
            await stack.enter_async_context(watchers.watching(run.watcher))
        yield RunFrames(run, start, await stack.enter_async_context(hub.follow(run.id)), redis, intervals)


class RunFrames:
    """One client that follows a run."""

    __slots__ = ("_has_ended", "_intervals", "_last", "_redis", "_run", "_said", "_start", "_subscription")

    def __init__(
        self,
        run: FollowedRun,
        start: EventId | Start,
        subscription: Subscription,
        redis: RedisClient,
        intervals: StreamIntervals,
    ) -> None:
        self._run = run
        self._start = start
        self._subscription = subscription
        self._redis = redis
        self._intervals = intervals
        # The last event that the client has, and the last state event.
        self._last: EventId | None = None
        self._said: EventKind | None = None
        self._has_ended = False

    @property
    def is_complete(self) -> bool:
        """Whether no event follows those that `frames` has yielded: the run has ended, or its task was deleted."""
        return self._has_ended or self._subscription.is_run_deleted

    def end(self) -> None:
        """Make `frames` end."""
        self._subscription.end()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield bytes to send, one or more frames at a time; ends after the run, or when the client must reconnect."""
        opened = _now()
        yield _RETRY
        try:
            async with aclosing(self._connecting(opened)) as waiting:
                async for frame in waiting:
                    yield frame
            if self._subscription.is_over:
                return
            async with aclosing(self._history()) as history:
                async for frames in history:
                    yield frames
            if self._said is EventKind.ENDED:
                self._has_ended = True
                return
            if self._run.is_over:
                yield b"data: %b\n\n" % self._run.state
                self._has_ended = True
                return
            async with aclosing(self._live(opened)) as live:
                async for frames in live:
                    yield frames
        except (RedisError, OSError) as error:
            # The client reconnects and continues after its last event.
            log.warning("run_stream.broken_off", error=repr(error))

    async def _connecting(self, opened: float) -> AsyncGenerator[bytes, None]:
        while not await self._subscription.is_connected(within=self._intervals.keepalive):
            if self._subscription.is_over:
                return
            yield KEEPALIVE
            if _now() - opened >= self._intervals.patience:
                yield _NOT_AVAILABLE
                self.end()

    async def _history(self) -> AsyncGenerator[bytes, None]:
        if (gap := await self._begin()) is not None:
            yield gap
        is_collecting = False
        while True:
            events = await read_events(self._redis, self._run.id, after=self._last, count=_PAGE_EVENTS)
            if events:
                yield self._encode(events)
            if len(events) == _PAGE_EVENTS:
                continue
            if is_collecting:
                return
            # Collect new events from here on, then read the events since the last reading.
            self._subscription.collect(after=self._last)
            is_collecting = True

    async def _begin(self) -> bytes | None:
        """Find the start; return a gap frame if events before it are missing."""
        ends = await read_ends(self._redis, self._run.id)
        if self._start is Start.LATEST:
            self._last = ends and ends[1].id
            return None
        if ends is None:
            return self._gap(None, None)
        first, last = ends
        assert first.id is not None
        assert last.id is not None
        if self._start is Start.BEGINNING:
            is_whole = first.kind is EventKind.OPENED
            return None if is_whole else self._gap(first.id.number - 1 or None, first.id)
        resumed = self._start
        if not isinstance(resumed, EventId) or resumed.epoch != last.id.epoch or resumed > last.id:
            # An id of a stream from before Redis was emptied, or an invalid one.
            return self._gap(None, first.id)
        if (lost := first.id.number - resumed.number - 1) > 0:
            return self._gap(lost, first.id)
        self._last = resumed
        return None

    async def _live(self, opened: float) -> AsyncGenerator[bytes, None]:
        while _now() - opened < self._intervals.life:
            events = await self._subscription.take(within=self._intervals.keepalive)
            if frames := self._encode(events):
                yield frames
            if self._said is EventKind.ENDED:
                self._has_ended = True
                return
            if self._subscription.is_over:
                return
            if not events:
                yield KEEPALIVE
                if self._last is None and _now() - opened >= self._intervals.patience:
                    yield _NOT_AVAILABLE
                    return

    def _encode(self, events: Iterable[RunEvent]) -> bytes:
        """Return the frames of those events that the client does not have yet."""
        frames: list[bytes] = []
        for event in events:
            if event.id is not None:
                if self._has(event.id):
                    continue
                if (gap := self._hole_before(event.id)) is not None:
                    frames.append(gap)
                self._last = event.id
            frames.append(self._frame(event))
            if event.kind in _STATES:
                self._said = event.kind
        return b"".join(frames)

    def _has(self, id_: EventId) -> bool:
        last = self._last
        return last is not None and id_.epoch == last.epoch and id_.number <= last.number

    def _hole_before(self, id_: EventId) -> bytes | None:
        last = self._last
        if last is None or id_ == (last.epoch, last.number + 1):
            return None
        return self._gap(id_.number - last.number - 1 if id_.epoch == last.epoch else None, id_)

    def _frame(self, event: RunEvent) -> bytes:
        match event.kind:
            case EventKind.GAP:
                return b"id: %b\n%b" % (
                    str(event.id).encode(),
                    self._gap(orjson.loads(event.data)["lost"], None),
                )
            case EventKind.OMITTED:
                omitted: dict[str, Any] = orjson.loads(event.data) | {"reload": self._run.reload}
                return RunEvent(event.id, event.kind, orjson.dumps(omitted)).frame
            case _:
                return event.frame

    def _gap(self, lost: int | None, first: EventId | None) -> bytes:
        gap = {
            "type": "gap",
            "lost": lost,
            "first_available_id": None if first is None else str(first),
            "reload": self._run.reload,
        }
        return b"event: gap\ndata: %b\n\n" % orjson.dumps(gap)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def final_states(sessions: SessionFactory, run_ids: Collection[UUID]) -> Mapping[UUID, bytes | None]:
    """Return the final states of runs that are over, as events, and None for runs of deleted tasks; in one statement."""
    statement = (
        select(*STATE_COLUMNS, Task.deleted)
        .join(Task, Task.id == Run.task_id)
        .where(Run.id.in_(run_ids), or_(Run.status.in_(TERMINAL_STATUSES), Task.deleted))
    )
    try:
        async with unit_of_work(sessions) as session:
            rows = (await session.execute(statement)).mappings().all()
    except DatabaseUnavailable as error:
        log.warning("run_stream.not_looked_up", error=repr(error))
        return {}
    return {row["id"]: None if row["deleted"] else state_event(row) for row in rows}
