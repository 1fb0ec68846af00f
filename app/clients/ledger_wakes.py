"""Notify other processes that the ledger has new events, without delaying the request that wrote them."""

import asyncio

from app.clients.redis import RedisClient
from app.clients.wakes import wake

# The topic that readers of the ledger watch (`WakeListener.watch_topic`).
LEDGER = "taskbeacon:ledger"


# Under load, a message for each event would cost more than all other steps of recording events.
_PAUSE_SECONDS = 0.01


class LedgerWakes:
    """Publishes through Redis that the ledger has new events, which wakes its readers in all processes.

    It publishes at most once per hundredth of a second, however many events there are.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._is_wanted = False
        self._sending: asyncio.Task[None] | None = None

    async def announce(self) -> None:
        """Schedule a wake of the ledger's readers, within a hundredth of a second. Returns at once."""
        self._is_wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def aclose(self) -> None:
        """Wait until all scheduled wakes are published."""
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await wake(self._redis, LEDGER)
            await asyncio.sleep(_PAUSE_SECONDS)
