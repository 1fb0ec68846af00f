"""One idea: of a bounded number of places, no one party has more than its share, however many of its own wait."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

__all__ = ["FairSlots", "QueueFull"]


class QueueFull(Exception):
    """As many of the same party wait as may."""


class FairSlots:
    """Places that parties share; `share` and `waiting` bound how many a party has, and how many of it wait."""

    def __init__(self, places: int, *, share: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._share = share
        self._most = share + waiting
        # Of each party that has a place or waits: its share, and how many there are.
        self._shares: dict[Hashable, asyncio.Semaphore] = {}
        self._counts: dict[Hashable, int] = {}

    @asynccontextmanager
    async def taken(self, party: Hashable) -> AsyncIterator[None]:
        """Have a place while the block lasts; waits for it. Raises QueueFull."""
        count = self._counts.get(party, 0)
        if count >= self._most:
            raise QueueFull
        self._counts[party] = count + 1
        share = self._shares.setdefault(party, asyncio.Semaphore(self._share))
        try:
            # Its own share first: those that wait for that hold no place meanwhile.
            async with share, self._places:
                yield
        finally:
            self._counts[party] -= 1
            if not self._counts[party]:
                del self._counts[party], self._shares[party]
