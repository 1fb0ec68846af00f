"""Read new events of the ledger once for all live streams of a process (ADR 60)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.coroutines.periodic import wait
from app.coroutines.shielded import SharedTask
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.services.access.visibility import Memberships
from app.services.events.cursor import Cursor
from app.services.events.event_reading import LIVE_PAGE, NewEvents, find_end, read_new_events
from app.services.streams.frames import LedgerEvent

# Short, since people watch. A look without new events is one short statement.
_LOOK_SECONDS = 0.1
# While many events arrive, sending chunks to clients costs most: fewer looks send fewer chunks.
_FLOOD_SECONDS = 0.4
_FLOOD_EVENTS = 50
# The most batches that wait for one stream, each of up to 500 events. A stream that is slower reads the database.
_MOST_WAITING = 4
# The most streams that read the database at once. They use the connections that requests need too.
_MOST_READING = 2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """New events of the ledger, at least one, and the active memberships that decide who may see them."""

    events: Sequence[LedgerEvent]
    memberships: Memberships

    @classmethod
    def of(cls, new: NewEvents, *, link: str) -> "Batch":
        events = [LedgerEvent(row.event, link, row.audience, row.inboxes) for row in new.rows]
        return cls(events, new.memberships)

    @property
    def end(self) -> Cursor:
        """The position in the ledger after the events of this batch."""
        return self.events[-1].place


class Following:
    """The queue of one live stream: batches of new events of the ledger that the stream has not taken yet."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self._waiting: deque[Batch] = deque()
        self._is_behind = True
        self._changed = asyncio.Event()

    async def next(self) -> Batch | None:
        """Wait for the next batch; None if some were dropped: the stream must then call `LedgerFeed.restart`."""
        while not self._waiting and not self._is_behind:
            self._changed.clear()
            await self._changed.wait()
        return None if self._is_behind else self._waiting.popleft()

    def collect(self) -> None:
        """Drop all waiting batches, and collect the batches that are offered from now on."""
        self._waiting.clear()
        self._is_behind = False

    def offer(self, batch: Batch) -> None:
        """Add a batch to the queue. If too many batches wait already, drop all: the stream has fallen behind."""
        if len(self._waiting) >= _MOST_WAITING:
            self.fall_behind()
        elif not self._is_behind:
            self._waiting.append(batch)
            self._changed.set()

    def fall_behind(self) -> None:
        """Drop all batches. The stream must then read the missing events from the database."""
        self._waiting.clear()
        self._is_behind = True
        self._changed.set()


class LedgerFeed:
    """Reads new events of the ledger once for all live streams of this process, while there are any."""

    def __init__(self, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._streams: set[Following] = set()
        self._looking = SharedTask(self._streams)
        # The position after the last batch; None before the first look.
        self._end: Cursor | None = None
        # Set by the next look that succeeds, and then replaced.
        self._looked = asyncio.Event()
        self._turns = asyncio.Semaphore(_MOST_READING)

    @asynccontextmanager
    async def following(
        self, sessions: SessionFactory, user_id: int, *, link: str
    ) -> AsyncGenerator[Following, None]:
        """Register a live stream of a user until the block ends; yield its queue."""
        if not self._streams:
            self._end = None
        async with self._looking.beside(Following(user_id), partial(self._look, sessions, link)) as stream:
            yield stream

    async def restart(self, stream: Following) -> Cursor:
        """Let a stream collect batches from now on; return the position up to which it must read by itself."""
        while self._end is None:
            await self.looked()
        stream.collect()
        return self._end

    async def looked(self) -> None:
        """Wait until this feed has read the ledger once more without an error."""
        await self._looked.wait()

    @asynccontextmanager
    async def reading(self, sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
        """Wait until fewer than two live streams read the ledger, then yield a database session for reading it."""
        async with self._turns, unit_of_work(sessions) as session:
            yield session

    async def _look(self, sessions: SessionFactory, link: str, are_over: asyncio.Event) -> None:
        while not are_over.is_set():
            count = 0
            try:
                count = await self._read(sessions, link, are_over)
            except DatabaseUnavailable as error:
                # The next look continues at the same position.
                log.warning("events.not_read", error=repr(error))
            except Exception:
                log.exception("events.unexpected_error")
                # The next look starts after the events that there are. Each stream reads those by itself, and ends if
                # it cannot.
                self._end = None
                for stream in self._streams:
                    stream.fall_behind()
            else:
                self._looked.set()
                self._looked = asyncio.Event()
            if count < LIVE_PAGE:
                await wait(are_over, _FLOOD_SECONDS if count > _FLOOD_EVENTS else self._look_seconds)

    async def _read(self, sessions: SessionFactory, link: str, are_over: asyncio.Event) -> int:
        # If `are_over` is set meanwhile, the present streams belong to the next task, which reads for them.
        user_ids = {stream.user_id for stream in self._streams}
        start = self._end
        async with unit_of_work(sessions) as session:
            if start is None:
                start = await find_end(session)
            new = await read_new_events(session, start, user_ids)
        if are_over.is_set():
            return 0
        self._end = start
        if new.rows:
            batch = Batch.of(new, link=link)
            self._end = batch.end
            for stream in self._streams:
                if stream.user_id in user_ids:
                    stream.offer(batch)
                else:
                    # This stream was registered meanwhile, so the memberships do not include its user.
                    stream.fall_behind()
        return len(new.rows)
