"""Word between processes that a run was changed: one channel of Redis, one subscription in each worker.

A message only says "look again"; what happened is in the database. It may be lost, so nobody relies on it: who waits
for a change looks at the row from time to time anyway.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Never
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from app.clients.redis import RedisClient

__all__ = ["RunChanges", "publish_change"]

_CHANNEL = "taskbeacon:run-changes"
_POLL_SECONDS = 30.0
_OUTAGE_PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


async def publish_change(redis: RedisClient, run_id: UUID) -> None:
    """Tell all workers that a run was changed; an outage of Redis is logged and nothing more."""
    try:
        await redis.publish(_CHANNEL, str(run_id))
    except (RedisError, OSError) as error:
        log.warning("run_changes.not_published", error=repr(error))


class RunChanges:
    """Wakes those in this process who watch a run when it is changed anywhere."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._watchers: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def watch(self, run_id: UUID) -> Generator[asyncio.Event, None, None]:
        """Yield an event that is set at every change; whoever waits for it clears it."""
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(str(run_id), set())
        watchers.add(changed)
        try:
            yield changed
        finally:
            watchers.discard(changed)
            if not watchers:
                self._watchers.pop(str(run_id), None)

    async def listen(self) -> Never:
        """Pass messages on until cancelled. After an outage everybody looks: something may have been missed."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("run_changes.not_subscribed", error=repr(error))
                await asyncio.sleep(_OUTAGE_PAUSE_SECONDS)

    async def _listen(self) -> Never:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(_CHANNEL)
            self._wake_all()
            while True:
                message = await subscription.get_message(timeout=_POLL_SECONDS)
                if message is not None:
                    for watcher in self._watchers.get(message["data"].decode(), ()):
                        watcher.set()

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.set()
