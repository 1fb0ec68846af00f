"""Share a bounded number of slots fairly among parties, none of which may hold more than its share."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """Too many callers of one party, such as a project, have a slot or wait for one, so no other caller may wait."""


class FairSlots:
    """Lets at most `slots` callers in, `share` of a party (a project) at a time; `waiting` more of it may wait."""

    def __init__(self, slots: int, *, share: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._share = share
        self._most = share + waiting
        # For each party that holds a slot or waits: its share, and how many there are.
        self._shares: dict[Hashable, asyncio.Semaphore] = {}
        self._counts: dict[Hashable, int] = {}

    @asynccontextmanager
    async def hold(self, party: Hashable) -> AsyncIterator[None]:
        """Wait for a slot of a party, and keep it during the block. Raises QueueFull."""
        count = self._counts.get(party, 0)
        if count >= self._most:
            raise QueueFull
        self._counts[party] = count + 1
        share = self._shares.setdefault(party, asyncio.Semaphore(self._share))
        try:
            # The share first: those that wait for it must not hold a slot.
            async with share, self._slots:
                yield
        finally:
            self._counts[party] -= 1
            if not self._counts[party]:
                del self._counts[party], self._shares[party]
