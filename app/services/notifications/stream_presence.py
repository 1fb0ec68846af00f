"""Renew the presence of devices with open live streams, and end it with the stream (contract 7.1).

The last stream of this process ends only what this process recorded last: the device may beat by itself.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from app.coroutines.periodic import attempt, every
from app.coroutines.shielded import shielded
from app.db import SessionFactory, unit_of_work
from app.errors import NotFound
from app.services.access.principal import Principal
from app.services.notifications import presence

BEAT_SECONDS = presence.PRESENCE_LIFETIME.total_seconds() * 5 / 12


@dataclass(frozen=True, slots=True)
class Watcher:
    """A caller's device that follows a task through a live stream, and when its presence expires."""

    caller: Principal
    task_id: UUID
    device_id: UUID
    expires_at: datetime

    @property
    def key(self) -> tuple[int, UUID, UUID]:
        return self.caller.user_id, self.task_id, self.device_id


@dataclass(slots=True)
class _Watch:
    watcher: Watcher
    # The expiry of our own last beat.
    expires_at: datetime
    streams: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    beating: asyncio.Task[None] | None = None


class StreamPresence:
    """Renews the presence of devices that follow a task through live streams of this process."""

    def __init__(self, sessions: SessionFactory, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._sessions = sessions
        self._beat_seconds = beat_seconds
        self._watches: dict[tuple[int, UUID, UUID], _Watch] = {}

    @asynccontextmanager
    async def watching(self, watcher: Watcher) -> AsyncGenerator[None, None]:
        """Renew the presence of a device until the last of its blocks for this task ends."""
        watch = self._watches.get(watcher.key)
        if watch is None:
            watch = self._watches[watcher.key] = _Watch(watcher, watcher.expires_at)
            beating = every(
                self._beat_seconds,
                partial(self._beat, watch),
                event="stream_presence.not_beaten",
                until=watch.left,
            )
            watch.beating = asyncio.create_task(beating, context=Context())
        watch.expires_at = max(watch.expires_at, watcher.expires_at)
        watch.streams += 1
        try:
            yield
        finally:
            watch.streams -= 1
            if not watch.streams:
                self._drop(watch)
                # Also for a caller that is cancelled: the device would count as watching until its presence expires.
                await shielded(self._end(watch))

    async def _beat(self, watch: _Watch) -> None:
        watcher = watch.watcher
        try:
            async with unit_of_work(self._sessions) as session:
                watch.expires_at = await presence.beat(
                    session, watcher.caller, watcher.task_id, watcher.device_id
                )
        except NotFound:
            # The caller cannot see the task any more, or the device belongs to another user.
            self._drop(watch)

    def _drop(self, watch: _Watch) -> None:
        # A watch that a failed beat has dropped may have a successor under the same key.
        if self._watches.get(watch.watcher.key) is watch:
            del self._watches[watch.watcher.key]
        watch.left.set()

    async def _end(self, watch: _Watch) -> None:
        assert watch.beating is not None
        # A beat that is under way must not arrive after the leave.
        await watch.beating
        await attempt(partial(self._leave, watch), event="stream_presence.not_left")

    async def _leave(self, watch: _Watch) -> None:
        watcher = watch.watcher
        with suppress(NotFound):
            async with unit_of_work(self._sessions) as session:
                await presence.leave(
                    session, watcher.caller, watcher.task_id, watcher.device_id, up_to=watch.expires_at
                )
