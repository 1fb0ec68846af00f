"""Follow a project live: its ledger and the streams of named runs, as one resumable stream (contract 14).

The id of a frame holds the position in the ledger and in each of the runs, so a client that reconnects with the last id
misses nothing; if events are gone, it gets an `event: gap`. Visibility is checked at each reading.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.event_hub import EventHub
from app.clients.redis import RedisClient
from app.clients.run_events import EventId
from app.clients.subscriptions import Subscription
from app.db import SessionFactory
from app.errors import InvalidInput, NotFound
from app.models import Run
from app.outages import DatabaseUnavailable
from app.schemas.fields import parse_uuid
from app.services.access.principal import Principal
from app.services.events.cursor import Cursor
from app.services.events.reading import (
    find_end,
    is_any_truncated,
    is_truncated,
    place_of,
    read_events,
    read_question_events,
)
from app.services.events.rendering import event_out
from app.services.events.watch import LedgerWatch
from app.services.notifications.stream_presence import StreamPresence
from app.services.run_log.stream import FollowedRun, RunFrames, Start, StreamIntervals, follow, open_stream
from app.statements import Fields

_LIFE_SECONDS = 900.0
_MOST_TOPICS = 20
_MOST_QUEUED = 64
_PAGE = 100
_TASKS = "tasks"
_INBOX = "inbox"
_RUN = "run:"
_NO_PLACE = "-"
_RETRY = b"retry: 2000\n\n"
_KEEPALIVE = b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
_ROTATED = b'event: end\ndata: {"type":"rotated"}\n\n'
# An id that no run has; the hub ends the followers of this id too when the process stops.
_STOP = UUID(int=0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FollowedLedger:
    """A part of the ledger: how to read its events after a position, and whether some were removed there."""

    topics: Sequence[str]
    read: Callable[[AsyncSession, Cursor, int], Awaitable[Sequence[Fields]]]
    is_truncated: Callable[[AsyncSession, Cursor], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class FollowedProject:
    """The topics that a client follows, and the place to start in each."""

    ledger: FollowedLedger | None
    ledger_from: Cursor
    # Whether the client's id is not one of ours, so that it may miss events.
    is_ledger_lost: bool
    runs: Mapping[UUID, FollowedRun]
    places: Mapping[UUID, EventId]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamClients:
    """The clients of a process that a project stream uses."""

    sessions: SessionFactory
    hub: EventHub
    redis: RedisClient
    watchers: StreamPresence
    ledger: LedgerWatch
    intervals: StreamIntervals
    # The setting `task_url`.
    link: str


class _Item(NamedTuple):
    """An event of one topic."""

    topic: str
    data: bytes
    name: bytes = b""
    place: Cursor | EventId | None = None


async def open_project_stream(
    session: AsyncSession, caller: Principal, topics: str | None, last_id: str | None
) -> FollowedProject:
    """Return the topics to follow, and the place to start in each.

    Raises:
        InvalidInput: there is no such topic, or there are too many.
        NotFound: there is no such run for this caller.

    """
    names = list(dict.fromkeys(word.strip() for word in (topics or _TASKS).split(",") if word.strip()))
    if len(names) > _MOST_TOPICS:
        raise InvalidInput(f"At most {_MOST_TOPICS} topics.", code="max_length", attr="topics")
    for name in names:
        if name not in _LEDGERS and not name.startswith(_RUN):
            raise InvalidInput(f'"{name[:200]}" is not a valid choice.', code="invalid_choice", attr="topics")
    runs = {}
    for name in names:
        if name not in _LEDGERS:
            run = await _open_run(session, caller, name.removeprefix(_RUN))
            runs[run.id] = run
    ledger = _merged_ledger(caller, [name for name in names if name in _LEDGERS])
    return await follow_ledger(session, ledger, last_id, runs)


def inbox_ledger(caller: Principal) -> FollowedLedger:
    """Return the events of the caller's inbox, over all their projects."""
    return FollowedLedger(
        (_INBOX,),
        lambda session, after, limit: read_question_events(session, caller, after, limit=limit),
        lambda session, after: is_any_truncated(session, caller, after),
    )


def _tasks_ledger(caller: Principal) -> FollowedLedger:
    return FollowedLedger(
        (_TASKS,),
        lambda session, after, limit: read_events(session, caller, after, limit=limit),
        lambda session, after: is_truncated(session, caller, after),
    )


_LEDGERS = {_TASKS: _tasks_ledger, _INBOX: inbox_ledger}


def _merged_ledger(caller: Principal, topics: Sequence[str]) -> FollowedLedger | None:
    """Return the events of several topics as one ledger: each event once, in the order of the ledger."""
    parts = [_LEDGERS[topic](caller) for topic in topics]
    if len(parts) < 2:  # noqa: PLR2004 - nothing to merge
        return parts[0] if parts else None

    async def read(session: AsyncSession, after: Cursor, limit: int) -> Sequence[Fields]:
        events = {row["id"]: row for part in parts for row in await part.read(session, after, limit)}
        return sorted(events.values(), key=place_of)[:limit]

    async def is_any_part_truncated(session: AsyncSession, after: Cursor) -> bool:
        return any([await part.is_truncated(session, after) for part in parts])

    return FollowedLedger(topics, read, is_any_part_truncated)


async def follow_ledger(
    session: AsyncSession,
    ledger: FollowedLedger | None,
    last_id: str | None,
    runs: Mapping[UUID, FollowedRun] = MappingProxyType({}),
) -> FollowedProject:
    """Return the ledger to follow, from the position in the client's last id on; None: from now on."""
    ledger_from, places, is_lost = _parse_id(last_id)
    return FollowedProject(
        ledger=ledger,
        ledger_from=ledger_from or await find_end(session),
        is_ledger_lost=is_lost,
        runs=runs,
        places=places,
    )


async def _open_run(session: AsyncSession, caller: Principal, text: str) -> FollowedRun:
    run_id = parse_uuid(text)
    task_id = None
    if run_id is not None:
        task_id = await session.scalar(select(Run.task_id).where(Run.id == run_id))
    if run_id is None or task_id is None:
        raise NotFound
    return await open_stream(session, caller, task_id, run_id, device_id=None)


def _parse_id(text: str | None) -> tuple[Cursor | None, dict[UUID, EventId], bool]:
    """Return the positions in an id, and whether it is no id of our streams."""
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
async def follow_project(
    project: FollowedProject, clients: StreamClients
) -> AsyncGenerator["ProjectFollower", None]:
    """Yield the follower of a project; it ends with the block, or when the process stops."""
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(clients.hub.follow(_STOP))
        followers = {}
        for run_id, run in project.runs.items():
            following = follow(
                run,
                project.places.get(run_id, Start.BEGINNING),
                hub=clients.hub,
                redis=clients.redis,
                watchers=clients.watchers,
                intervals=clients.intervals,
            )
            followers[run_id] = await stack.enter_async_context(following)
        yield ProjectFollower(project, clients, stop, followers)


class ProjectFollower:
    """One client that follows a project."""

    def __init__(
        self,
        project: FollowedProject,
        clients: StreamClients,
        stop: Subscription,
        runs: Mapping[UUID, RunFrames],
    ) -> None:
        self._project = project
        self._clients = clients
        self._stop = stop
        self._runs = runs
        self._ledger_place = project.ledger_from
        self._places = {run_id: place for run_id, place in project.places.items() if run_id in runs}
        # A slow client delays its own topics instead of filling this process's memory.
        self._queue: asyncio.Queue[_Item | None] = asyncio.Queue(maxsize=_MOST_QUEUED)

    def end(self) -> None:
        """Make `frames` end."""
        self._stop.end()
        for follower in self._runs.values():
            follower.end()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield bytes to send; ends after 15 minutes, so that the client reconnects with its key, or after `end`."""
        topics = [asyncio.create_task(self._read_run(*run)) for run in self._runs.items()]
        if self._project.ledger is not None:
            topics.append(asyncio.create_task(self._read_ledger(self._project.ledger)))
        topics.append(asyncio.create_task(self._await_stop()))
        try:
            yield _RETRY
            # The place to go on from, should the connection break before the first event.
            yield b"id: %b\n%b" % (self._id(), _KEEPALIVE)
            async with aclosing(self._merged()) as merged:
                async for frame in merged:
                    yield frame
        finally:
            for topic in topics:
                topic.cancel()
            await asyncio.gather(*topics, return_exceptions=True)

    async def _merged(self) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + min(_LIFE_SECONDS, self._clients.intervals.life)
        while (left := ends_at - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left, self._clients.intervals.keepalive)):
                    item = await self._queue.get()
            except TimeoutError:
                yield _KEEPALIVE
                continue
            frames = []
            while item is not None:
                frames.append(self._frame(item))
                if self._queue.empty():
                    break
                item = self._queue.get_nowait()
            if frames:
                # Together: sending each takes longer than making it.
                yield b"".join(frames)
            if item is None:
                return
        yield _ROTATED

    def _frame(self, item: _Item) -> bytes:
        if isinstance(item.place, Cursor):
            self._ledger_place = item.place
        elif item.place is not None:
            self._places[parse_uuid(item.topic.removeprefix(_RUN)) or _STOP] = item.place
        name = b"event: %b\n" % item.name if item.name else b""
        return b"id: %b\n%bdata: %b\n\n" % (self._id(), name, item.data)

    def _id(self) -> bytes:
        places = [f"{run_id}={place}" for run_id, place in self._places.items()]
        return ";".join(
            [_NO_PLACE if self._project.ledger is None else str(self._ledger_place), *places]
        ).encode()

    async def _await_stop(self) -> None:
        while not self._stop.is_over:
            await self._stop.take(within=self._clients.intervals.keepalive)
        await self._queue.put(None)

    async def _read_ledger(self, ledger: FollowedLedger) -> None:
        place = self._project.ledger_from
        if self._project.is_ledger_lost:
            await self._put_gaps(ledger)
        async with self._clients.ledger.watching(self._clients.sessions) as grown:
            while True:
                grown.clear()
                try:
                    place = await self._read_pages(ledger, place)
                except DatabaseUnavailable as error:
                    log.warning("events.not_read", error=repr(error))
                _ = await grown.wait()

    async def _read_pages(self, ledger: FollowedLedger, place: Cursor) -> Cursor:
        """Send the events after a position; return the position after them."""
        rows = None
        while rows is None or len(rows) == _PAGE:
            async with self._clients.ledger.reading(self._clients.sessions) as session:
                rows = await ledger.read(session, place, _PAGE)
                is_missing = await ledger.is_truncated(session, place)
            if is_missing:
                await self._put_gaps(ledger)
            for row in rows:
                place = place_of(row)
                data = orjson.dumps(event_out(row, self._clients.link), default=str, option=orjson.OPT_UTC_Z)
                await self._queue.put(_Item(_TASKS, data, place=place))
        return place

    async def _put_gaps(self, ledger: FollowedLedger) -> None:
        for topic in ledger.topics:
            await self._queue.put(_gap(topic))

    async def _read_run(self, run_id: UUID, follower: RunFrames) -> None:
        topic = f"{_RUN}{run_id}"
        async with aclosing(follower.frames()) as frames:
            async for several in frames:
                for frame in several.split(b"\n\n"):
                    if (item := _run_item(topic, frame)) is not None:
                        await self._queue.put(item)


def _run_item(topic: str, frame: bytes) -> _Item | None:
    """Return the content of a frame of a run's own stream; None for frames that this stream sends by itself."""
    fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line)
    name, data = fields.get(b"event", b""), fields.get(b"data")
    if data is None or name in {b"keepalive", b"error"}:
        return None
    place = EventId.parse(fields[b"id"].decode()) if b"id" in fields else None
    if name == b"gap":
        return _gap(topic, orjson.loads(data), place)
    return _Item(topic, data, topic.encode(), place)


def _gap(topic: str, gap: Mapping[str, Any] = MappingProxyType({}), place: EventId | None = None) -> _Item:
    return _Item(topic, orjson.dumps({"type": "gap", "lost": None, **gap, "topic": topic}), b"gap", place)
