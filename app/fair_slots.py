"""Share a bounded number of slots fairly: no party holds more than its share."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """Too many of the same party are waiting."""


class FairSlots:
    """Slots for several parties; `share` bounds the slots of a party, `waiting` how many of it wait."""

    def __init__(self, slots: int, *, share: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._share = share
        self._most = share + waiting
        # For each party that holds a slot or waits: its share, and how many there are.
        self._shares: dict[Hashable, asyncio.Semaphore] = {}
        self._counts: dict[Hashable, int] = {}

    @asynccontextmanager
    async def hold(self, party: Hashable) -> AsyncIterator[None]:
        """Wait for a slot and hold it during the block.

        Raises:
            QueueFull: too many of the same party are waiting.

        """
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
