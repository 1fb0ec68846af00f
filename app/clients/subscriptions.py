"""The followers of runs in this process, and the channels that pass events on to them (event_hub.py)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import structlog

from app.clients.run_events import EventId, RunEvent

# Maximal number of events that wait for one follower.
MAX_QUEUED_EVENTS = 1000
MAX_QUEUED_BYTES = 1024 * 1024
_SUBSCRIBE_AGAIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Subscription:
    """One follower of a run. It reads earlier events first, and collects new ones once it asks for that."""

    __slots__ = ("_channel", "_queued", "_queued_bytes", "_waiter", "is_over", "is_run_deleted")

    def __init__(self, channel: "Channel") -> None:
        self.is_over = False
        self.is_run_deleted = False
        self._channel = channel
        self._queued: list[RunEvent] = []
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    async def is_connected(self, *, within: float) -> bool:
        """Return True as soon as no new event can be missed, False after `within` seconds or at the end."""
        await self._wait(within, lambda: self._channel.is_connected or self.is_over)
        return self._channel.is_connected and not self.is_over

    def collect(self, *, after: EventId | None) -> None:
        """Collect new events from now on, for `take`; those up to `after` are known."""
        self._channel.last = self._channel.last or after
        self._channel.collecting.add(self)

    async def take(self, *, within: float) -> list[RunEvent]:
        """Return the collected events, oldest first; wait for one up to `within` seconds or the end of the subscription."""
        await self._wait(within, lambda: bool(self._queued) or self.is_over)
        taken, self._queued, self._queued_bytes = self._queued, [], 0
        return taken

    def end(self) -> None:
        """Stop collecting, and wake the follower, which may take what is queued."""
        self.is_over = True
        self._channel.collecting.discard(self)
        self.wake()

    def offer(self, event: RunEvent) -> None:
        """Queue an event; a follower with too much in its queue is ended, and its queue dropped."""
        if len(self._queued) >= MAX_QUEUED_EVENTS or self._queued_bytes >= MAX_QUEUED_BYTES:
            log.info("event_hub.follower_cut_off", run_id=str(self._channel.run_id))
            self._queued, self._queued_bytes = [], 0
            self.end()
            return
        self._queued.append(event)
        self._queued_bytes += len(event.data)
        self.wake()

    def wake(self) -> None:
        """Wake the follower."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float, holds: Callable[[], bool]) -> None:
        if holds():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
        self._waiter = None


class Channel:
    """The followers of one run in this process, and the last event that was passed on to them."""

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        self.is_connected = False
        self.followers: set[Subscription] = set()
        self.collecting: set[Subscription] = set()
        # The last event that was passed on, or was read earlier.
        self.last: EventId | None = None
        self._subscribed_at: float | None = None

    def may_subscribe(self) -> bool:
        """Return whether to request the subscription: it is missing, and was not requested a moment ago."""
        now = asyncio.get_running_loop().time()
        if self.is_connected or (
            self._subscribed_at is not None and now - self._subscribed_at < _SUBSCRIBE_AGAIN_SECONDS
        ):
            return False
        self._subscribed_at = now
        return True

    def connect(self) -> None:
        """Note that Redis has confirmed the subscription, and wake the followers."""
        self.is_connected = True
        for follower in self.followers:
            follower.wake()

    def is_next(self, event: RunEvent) -> bool:
        """Return whether no event is missing before this one."""
        if self.last is None:
            return not self.collecting or (event.id is not None and event.id.number == 1)
        return event.id == self.last._replace(number=self.last.number + 1)

    def is_known(self, event: RunEvent) -> bool:
        """Return whether the event was passed on or read earlier."""
        known, id_ = self.last, event.id
        return (
            id_ is not None and known is not None and id_.epoch == known.epoch and id_.number <= known.number
        )

    def pass_on(self, event: RunEvent) -> None:
        """Queue an event for each follower that collects events."""
        self.last = event.id or self.last
        for follower in list(self.collecting):
            follower.offer(event)

    def end(self, *, is_run_deleted: bool = False) -> None:
        """Stop collecting for all followers, and wake them; they may take what is queued."""
        for follower in list(self.followers):
            follower.is_run_deleted = is_run_deleted
            follower.end()
