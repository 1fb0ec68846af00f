"""Share a bounded number of slots fairly among parties, none of which may hold more than its share."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class QueueFull(Exception):
    """No slot is free, and too many callers of the same party are waiting already."""


class FairSlots:
    """A bounded number of slots for several parties.

    Each may hold `share` slots, and `waiting` callers of it may wait.
    """

    def __init__(self, slots: int, *, share: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._share = share
        self._most = share + waiting
        # For each party that holds a slot or waits: its share, and how many there are.
        self._shares: dict[Hashable, asyncio.Semaphore] = {}
        self._counts: dict[Hashable, int] = {}

    @asynccontextmanager
    async def hold(self, party: Hashable) -> AsyncIterator[None]:
        """Wait for a slot for a party, and hold it during the block.

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
