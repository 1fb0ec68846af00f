"""Poll the ledger of events once for all live streams of a process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.services.events.reading import find_end

_LOOK_SECONDS = 0.5
# The most followers that read at once. All are woken at once: requests, which share their connections, would wait for
# all.
_MOST_READING = 2

log = structlog.get_logger(__name__)


class LedgerWatch:
    """Wakes live streams when the ledger of events has grown. Polls the ledger only while there are such streams."""

    def __init__(self) -> None:
        self._followers: set[asyncio.Event] = set()
        # Those that could not read the ledger.
        self._behind: set[asyncio.Event] = set()
        self._looking: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(_MOST_READING)

    @asynccontextmanager
    async def watching(self, sessions: SessionFactory) -> AsyncGenerator[asyncio.Event, None]:
        """Yield an `asyncio.Event` that is set whenever the ledger may have grown; the caller clears it."""
        grown = asyncio.Event()
        self._followers.add(grown)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(sessions), context=Context())
        try:
            yield grown
        finally:
            self._followers.discard(grown)
            self._behind.discard(grown)
            if not self._followers and (looking := self._looking) is not None:
                self._looking = None
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    def wake_again(self, grown: asyncio.Event) -> None:
        """Set `grown` after the next successful poll, even if the ledger has not grown.

        A live stream calls this with its own event when it could not read the ledger.
        """
        self._behind.add(grown)

    @asynccontextmanager
    async def reading(self, sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
        """Wait for a turn, since only a few streams read at once; yield a database session for reading the ledger."""
        async with self._turns, unit_of_work(sessions) as session:
            yield session

    async def _look(self, sessions: SessionFactory) -> None:
        known = None
        while True:
            try:
                async with unit_of_work(sessions) as session:
                    end = await find_end(session)
            except DatabaseUnavailable as error:
                log.warning("events.not_looked_at", error=repr(error))
            except Exception:
                # Continue, because all followers depend on this task.
                log.exception("events.unexpected_error")
            else:
                for follower in self._behind if end == known else self._followers:
                    follower.set()
                self._behind.clear()
                known = end
            await asyncio.sleep(_LOOK_SECONDS)
