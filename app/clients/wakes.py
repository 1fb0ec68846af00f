"""Wake other processes through Redis: a run was changed, a job was queued, or the ledger has new events.

A message carries no data and may be lost: what waits for a change also polls.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context
from typing import Never
from uuid import UUID

import structlog

from app.clients.redis import RedisClient, messages_of
from app.outages import REDIS_ERRORS

# The topic of new events in the ledger. Only one process per second reacts to its wakes.
LEDGER = "taskbeacon:ledger"
_CHANNEL = "taskbeacon:run-changes"
_WAKE_CHANNEL = "taskbeacon:wake"
_TURN_KEY = "taskbeacon:turn"
_TURN_SECONDS = 1.0
_SILENCE_SECONDS = 15.0

log = structlog.get_logger(__name__)


async def publish_change(redis: RedisClient, run_id: UUID) -> None:
    """Publish through Redis that a run has changed, which wakes code that watches the run. A failure is only logged."""
    await _publish(redis, _CHANNEL, str(run_id))


async def wake(redis: RedisClient, topic: str) -> None:
    """Wake all code in any process that watches a topic, such as the name of a queue. A failure is only logged."""
    await _publish(redis, _WAKE_CHANNEL, topic)


async def _publish(redis: RedisClient, channel: str, message: str) -> None:
    try:
        await redis.publish(channel, message)
    except REDIS_ERRORS as error:
        log.warning("wakes.not_published", channel=channel, error=repr(error))


class WakeListener:
    """Receives wakes from all processes through Redis, and sets the `asyncio.Event` of each watcher in this process."""

    def __init__(
        self,
        redis: RedisClient,
        *,
        pause: float,
        silence_seconds: float = _SILENCE_SECONDS,
        turn_seconds: float = _TURN_SECONDS,
    ) -> None:
        self._redis = redis
        self._pause = pause
        self._silence_seconds = silence_seconds
        # By channel and message as bytes, so that a message that is no text cannot end the listener.
        self._watchers: dict[tuple[bytes, bytes], set[asyncio.Event]] = {}
        self._turn_seconds = turn_seconds
        # When the current turn ends, and whether it is the turn of this process.
        self._turn_ends = 0.0
        self._has_turn = False

    def watch(self, run_id: UUID) -> AbstractContextManager[asyncio.Event]:
        """Yield an `asyncio.Event` that is set at every change of the run; clear it before you wait again."""
        return self._watch(_CHANNEL, str(run_id))

    def watch_topic(self, topic: str) -> AbstractContextManager[asyncio.Event]:
        """Yield an `asyncio.Event` that is set at every wake of the topic; clear it before you wait again.

        A wake of `LEDGER` sets those of one process only, and is lost if that process hangs.
        """
        return self._watch(_WAKE_CHANNEL, topic)

    @contextmanager
    def _watch(self, channel: str, message: str) -> Generator[asyncio.Event, None, None]:
        happened, about = asyncio.Event(), (channel.encode(), message.encode())
        watchers = self._watchers.setdefault(about, set())
        watchers.add(happened)
        try:
            yield happened
        finally:
            watchers.discard(happened)
            if not watchers:
                self._watchers.pop(about, None)

    async def listen(self) -> Never:
        """Wake watchers until cancelled; after an outage of Redis all of them, because wakes may have been lost."""
        while True:
            try:
                await self._listen()
            except REDIS_ERRORS as error:
                log.warning("wakes.not_subscribed", error=repr(error))
                await asyncio.sleep(self._pause)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(_CHANNEL, _WAKE_CHANNEL)
            self._wake_all()
            async for message in messages_of(subscription, silence=self._silence_seconds):
                if message["type"] == "message":
                    watchers = self._watchers.get((message["channel"], message["data"]), ())
                    if watchers and (message["data"] != LEDGER.encode() or await self._takes_turn()):
                        for watcher in watchers:
                            watcher.set()

    async def _takes_turn(self) -> bool:
        # Only one process per second reacts to new events of the ledger: the others would find the rows claimed.
        now = time.monotonic()
        if now >= self._turn_ends:
            self._has_turn = bool(
                await self._redis.set(_TURN_KEY, b"", nx=True, px=int(self._turn_seconds * 1000))
            )
            # Counted from before the requests, so that the turn ends here before another process can get it.
            left = self._turn_seconds if self._has_turn else await self._redis.pttl(_TURN_KEY) / 1000
            self._turn_ends = now + left
        return self._has_turn

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()


# Under load, a message for each event would cost more than all other steps of recording events.
_PAUSE_SECONDS = 0.01


class LedgerWakes:
    """Publishes, at most a hundred times a second, that the ledger has new events."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._is_wanted = False
        self._sending: asyncio.Task[None] | None = None

    async def announce(self) -> None:
        """Schedule a wake of the ledger's readers, within a hundredth of a second. Returns at once."""
        self._is_wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), context=Context())

    async def aclose(self) -> None:
        """Wait until all scheduled wakes are published."""
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _send(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await wake(self._redis, LEDGER)
            await asyncio.sleep(_PAUSE_SECONDS)
