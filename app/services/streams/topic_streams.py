"""Live streams of several topics: the events of a project, of an inbox, and of single runs (contract 14, 15).

The id of a frame holds the client's position in the ledger and in each of the runs, so a client that reconnects with
its last id misses nothing. If events after that position no longer exist, it gets an `event: gap`. Visibility is
checked at each reading.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_events import EventId, EventKind, RunEvent
from app.clients.live_events.run_followers import Subscription
from app.clients.live_events.server_sent_events import encode
from app.errors import InvalidInput, NotFound, unknown_choice
from app.outages import DatabaseUnavailable
from app.schemas.fields import parse_uuid
from app.services.access.principal import Principal
from app.services.access.visibility import is_audience_of, task_id_of_visible_run
from app.services.events.cursor import Cursor
from app.services.events.event_reading import (
    find_end,
    is_any_truncated,
    is_truncated,
    place_here,
    read_events,
    read_question_events,
)
from app.services.events.rendering import EventRow
from app.services.streams.frames import KEEPALIVE, RETRY, ROTATED, LedgerEvent, keepalive
from app.services.streams.ledger_feed import Batch
from app.services.streams.run_streams import FollowedRun, RunFollower, StreamStart, follow, open_stream
from app.services.streams.stream_clients import StreamClients

TASKS = "tasks"
INBOX = "inbox"
_MOST_TOPICS = 20
_MOST_QUEUED = 64
# The most pages or batches of the ledger that are queued.
_MOST_PAGES = 2
_PAGE = 100
_RUN = "run:"
_NO_PLACE = "-"
# An id that no run has; the hub ends the followers of this id too when the process stops.
_STOP = UUID(int=0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FollowedLedger:
    """The events of the ledger that one live stream shows to its user, as three functions.

    `read` reads up to a given number of these events after a position. `choose` selects them from a batch that all live
    streams share. `is_truncated` returns whether events after a position were removed, so that the client missed them.
    """

    topics: Sequence[str]
    user_id: int
    read: Callable[[AsyncSession, Cursor, int], Awaitable[Sequence[EventRow]]]
    is_truncated: Callable[[AsyncSession, Cursor], Awaitable[bool]]
    choose: Callable[[Batch], Sequence[LedgerEvent]]


def _tasks_ledger(caller: Principal) -> FollowedLedger:
    project_id, user_id = caller.project.id, caller.user_id

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        if (user_id, project_id) not in batch.memberships:
            return ()
        return [
            event
            for event in batch.events
            if event.row.project_id == project_id and is_audience_of(event.audience, user_id)
        ]

    return FollowedLedger(
        (TASKS,),
        user_id,
        lambda session, after, limit: read_events(session, caller, after, limit=limit),
        lambda session, after: is_truncated(session, caller, after),
        choose,
    )


def _inbox_ledger(caller: Principal) -> FollowedLedger:
    user_id = caller.user_id

    def is_usable(project_id: int, batch: Batch) -> bool:
        organization_id = batch.memberships.get((user_id, project_id))
        return organization_id is not None and caller.covers(project_id, organization_id)

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        return [
            event
            for event in batch.events
            if event.inboxes and user_id in event.inboxes and is_usable(event.row.project_id, batch)
        ]

    return FollowedLedger(
        (INBOX,),
        user_id,
        lambda session, after, limit: read_question_events(session, caller, after, limit=limit),
        lambda session, after: is_any_truncated(session, caller, after),
        choose,
    )


LEDGERS = {TASKS: _tasks_ledger, INBOX: _inbox_ledger}


def ledger_of(caller: Principal, topics: Sequence[str]) -> FollowedLedger:
    """Return the functions that read and select the events of one or more topics for a caller."""
    parts = [LEDGERS[topic](caller) for topic in topics]
    if len(parts) == 1:
        return parts[0]

    async def read(session: AsyncSession, after: Cursor, limit: int) -> Sequence[EventRow]:
        events = {row.id: row for part in parts for row in await part.read(session, after, limit)}
        return sorted(events.values(), key=lambda row: row.place)[:limit]

    async def is_any_part_truncated(session: AsyncSession, after: Cursor) -> bool:
        return any([await part.is_truncated(session, after) for part in parts])

    def choose(batch: Batch) -> Sequence[LedgerEvent]:
        chosen = {event for part in parts for event in part.choose(batch)}
        return [event for event in batch.events if event in chosen]

    return FollowedLedger(topics, caller.user_id, read, is_any_part_truncated, choose)


@dataclass(frozen=True, slots=True)
class FollowedTopics:
    """The topics of one live stream, each with its start position: events of the ledger, and single runs."""

    ledger: FollowedLedger | None
    ledger_from: Cursor
    # Whether the position is from an earlier stream, so that the client lacks the events since then.
    is_ledger_resumed: bool
    # Whether the service did not make the client's id, so that the client may miss events.
    is_ledger_lost: bool
    runs: Mapping[UUID, FollowedRun]
    places: Mapping[UUID, EventId]


class _LedgerEvents(NamedTuple):
    events: Sequence[LedgerEvent]


class _EventOfRun(NamedTuple):
    run_id: UUID
    event: RunEvent


class _Gap(NamedTuple):
    topic: str


async def open_project_stream(
    session: AsyncSession, caller: Principal, topics: str | None, last_id: str | None
) -> FollowedTopics:
    names = list(dict.fromkeys(word.strip() for word in (topics or TASKS).split(",") if word.strip()))
    if len(names) > _MOST_TOPICS:
        raise InvalidInput(f"At most {_MOST_TOPICS} topics.", code="max_length", attr="topics")
    for name in names:
        if name not in LEDGERS and not name.startswith(_RUN):
            raise unknown_choice(name, (*LEDGERS, f"{_RUN}<id>"), attr="topics")
    runs = {}
    for name in names:
        if name not in LEDGERS:
            run = await _open_run(session, caller, name.removeprefix(_RUN))
            runs[run.id] = run
    followed = [name for name in names if name in LEDGERS]
    ledger = ledger_of(caller, followed) if followed else None
    return await follow_ledger(session, ledger, last_id, runs)


async def open_inbox_stream(session: AsyncSession, caller: Principal, last_id: str | None) -> FollowedTopics:
    return await follow_ledger(session, ledger_of(caller, [INBOX]), last_id)


async def follow_ledger(
    session: AsyncSession,
    ledger: FollowedLedger | None,
    last_id: str | None,
    runs: Mapping[UUID, FollowedRun] = MappingProxyType({}),
) -> FollowedTopics:
    """Return the topics of a live stream, each with its start position: events of the ledger, and the runs `runs`.

    `last_id` is the last id that the client got from an earlier stream; it has a position for each topic. Without one,
    the ledger is followed from now on, and a run from its beginning.
    """
    cursor, places, is_lost = _parse_id(last_id)
    return FollowedTopics(
        ledger=ledger,
        ledger_from=await (find_end(session) if cursor is None else place_here(session, cursor)),
        is_ledger_resumed=cursor is not None,
        is_ledger_lost=is_lost,
        runs=runs,
        places=places,
    )


async def _open_run(session: AsyncSession, caller: Principal, text: str) -> FollowedRun:
    run_id = parse_uuid(text)
    if run_id is None:
        raise NotFound
    task_id = await task_id_of_visible_run(session, caller, run_id)
    return await open_stream(session, caller, task_id, run_id, device_id=None)


def _parse_id(text: str | None) -> tuple[Cursor | None, dict[UUID, EventId], bool]:
    if not text or not text.strip():
        return None, {}, False
    ledger, *parts = text.strip().split(";")
    cursor = Cursor.parse(ledger)
    places = {}
    for part in parts[:_MOST_TOPICS]:
        run, _, place = part.partition("=")
        run_id, event_id = parse_uuid(run), EventId.parse(place)
        if run_id is not None and event_id is not None:
            places[run_id] = event_id
    return cursor, places, cursor is None and ledger != _NO_PLACE


@asynccontextmanager
async def follow_topics(
    topics: FollowedTopics, clients: StreamClients
) -> AsyncGenerator["TopicFollower", None]:
    """Yield the live stream of these topics for one client. It ends when the block ends or the process stops."""
    # The streams of runs last until this one ends, which shows its other topics while a run has no stream yet.
    lasting = replace(clients, life=math.inf, patience=math.inf)
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(clients.hub.follow(_STOP))
        followers = {}
        for run_id, run in topics.runs.items():
            place = topics.places.get(run_id, StreamStart.BEGINNING)
            following = follow(run, place, lasting, topic=f"{_RUN}{run_id}")
            followers[run_id] = await stack.enter_async_context(following)
        yield TopicFollower(topics, clients, stop, followers)


class TopicFollower:
    """The live stream of one client, which merges the events of its topics into server-sent events."""

    def __init__(
        self,
        topics: FollowedTopics,
        clients: StreamClients,
        stop: Subscription,
        runs: Mapping[UUID, RunFollower],
    ) -> None:
        self._topics = topics
        self._clients = clients
        self._stop = stop
        self._runs = runs
        # The position up to which the ledger was read. The client has received less.
        self._read_to = topics.ledger_from
        # The position of the last gap, which is reported once.
        self._gap_at: Cursor | None = None
        # The client's position in each topic, as in the id of a frame; that in the ledger is first.
        ledger_place = _NO_PLACE if topics.ledger is None else str(topics.ledger_from)
        self._places: dict[UUID | None, str] = {None: ledger_place}
        self._places |= {run: f"{run}={place}" for run, place in topics.places.items() if run in runs}
        # Limited, so that a slow client delays its own topics instead of filling this process's memory.
        self._queue: asyncio.Queue[_LedgerEvents | _EventOfRun | _Gap | None] = asyncio.Queue(
            maxsize=_MOST_QUEUED
        )
        # Taken by each item of ledger events in the queue.
        self._room = asyncio.Semaphore(_MOST_PAGES)

    @property
    def run_ids(self) -> Collection[UUID]:
        return self._runs.keys()

    def end(self) -> None:
        self._stop.end()
        for follower in self._runs.values():
            follower.end()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield the events of all topics, until `end` is called, the stream's life is over, or a topic fails."""
        readings: list[Callable[[], Awaitable[bool]]] = [self._await_stop]
        readings += [partial(self._read_run, *run) for run in self._runs.items()]
        if self._topics.ledger is not None:
            readings.append(partial(self._read_ledger, self._topics.ledger))
        tasks = [asyncio.create_task(self._supervise(reading)) for reading in readings]
        try:
            yield RETRY
            if self._topics.ledger is not None and self._topics.is_ledger_lost:
                # Before any id of ours: after a reconnect with one, the gap would not be reported.
                for topic in self._topics.ledger.topics:
                    yield self._frame(_Gap(topic))
            # The connection may break before the first event.
            yield keepalive(self._id())
            async with aclosing(self._merged()) as merged:
                async for frame in merged:
                    yield frame
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _merged(self) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._clients.life
        while (left := ends_at - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, self._clients.keepalive)):
                    item = await self._queue.get()
            except TimeoutError:
                yield KEEPALIVE
                continue
            frames = []
            while item is not None:
                frames.append(self._frame(item))
                if self._queue.empty():
                    break
                item = self._queue.get_nowait()
            if frames:
                # Sent together, since sending a frame takes longer than making it.
                yield b"".join(frames)
            if item is None:
                return
        yield ROTATED

    def _frame(self, item: _LedgerEvents | _EventOfRun | _Gap) -> bytes:
        match item:
            case _LedgerEvents(events):
                self._room.release()
                if len(self._places) > 1:
                    return b"".join([self._frame_beside_runs(event) for event in events])
                self._places[None] = events[-1].id
                return b"".join([event.frame for event in events])
            case _EventOfRun(run_id, event):
                if event.id is not None:
                    self._places[run_id] = f"{run_id}={event.id}"
                name = b"gap" if event.kind is EventKind.GAP else f"{_RUN}{run_id}".encode()
                return encode(event.data, name=name, id_=self._id())
            case _Gap(topic):
                gap = orjson.dumps({"type": "gap", "lost": None, "topic": topic})
                return encode(gap, name=b"gap", id_=self._id())

    def _frame_beside_runs(self, event: LedgerEvent) -> bytes:
        self._places[None] = event.id
        return encode(event.data, id_=self._id())

    def _id(self) -> bytes:
        return ";".join(self._places.values()).encode()

    async def _supervise(self, reading: Callable[[], Awaitable[bool]]) -> None:
        is_complete = False
        try:
            is_complete = await reading()
        except Exception:
            # The stream ends, and its client continues with another.
            log.exception("project_stream.unexpected_error")
        if not is_complete:
            await self._queue.put(None)

    async def _await_stop(self) -> bool:
        while not self._stop.is_over:
            await self._stop.take(within=self._clients.keepalive)
        return False

    async def _read_ledger(self, ledger: FollowedLedger) -> bool:
        clients, feed = self._clients, self._clients.ledger
        async with feed.following(clients.sessions, ledger.user_id, link=clients.link) as stream:
            while True:
                end = await feed.restart(stream)
                try:
                    await self._read_pages(ledger, end)
                except DatabaseUnavailable as error:
                    log.warning("events.not_read", error=repr(error))
                    await feed.looked()
                    continue
                while (batch := await stream.next()) is not None:
                    chosen = ledger.choose(batch)
                    await self._put_events([event for event in chosen if event.place > self._read_to])
                    self._read_to = max(self._read_to, batch.end)

    async def _read_pages(self, ledger: FollowedLedger, end: Cursor) -> None:
        is_more = self._topics.is_ledger_resumed or self._read_to < end
        while is_more:
            async with self._clients.ledger.reading(self._clients.sessions) as session:
                rows = await ledger.read(session, self._read_to, _PAGE)
                is_missing = await ledger.is_truncated(session, self._read_to)
            if is_missing and self._gap_at != self._read_to:
                self._gap_at = self._read_to
                for topic in ledger.topics:
                    await self._queue.put(_Gap(topic))
            page = [LedgerEvent(row, self._clients.link) for row in rows]
            # Later events come from the feed. A page may lack some of them, since each topic has its own statement.
            await self._put_events([event for event in page if event.place <= end])
            is_more = len(page) == _PAGE and page[-1].place < end
        self._read_to = max(self._read_to, end)

    async def _put_events(self, events: Sequence[LedgerEvent]) -> None:
        if events:
            await self._room.acquire()
            await self._queue.put(_LedgerEvents(events))
            self._read_to = events[-1].place

    async def _read_run(self, run_id: UUID, follower: RunFollower) -> bool:
        async with aclosing(follower.events()) as batches:
            async for events in batches:
                for event in events:
                    await self._queue.put(_EventOfRun(run_id, event))
        return follower.is_complete
