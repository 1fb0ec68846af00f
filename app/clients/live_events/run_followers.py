"""The followers of runs in this process, and the channels that pass events on to them (event_hub.py)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import structlog

from app.clients.live_events.run_event_stream import read_events
from app.clients.live_events.run_events import EventId, EventKind, RunEvent
from app.clients.redis import RedisClient

# Maximal number of events that wait for one follower.
MAX_QUEUED_EVENTS = 1000
MAX_QUEUED_BYTES = 1024 * 1024
_CATCH_UP_EVENTS = 200

log = structlog.get_logger(__name__)


class Subscription:
    """A follower of one run in this process, with a queue of events.

    Nothing is queued before `collect`. Read the past events, call `collect`, then read once more: some may have been
    published in between.
    """

    __slots__ = ("_channel", "_queued", "_queued_bytes", "_woken", "is_over", "is_run_deleted")

    def __init__(self, channel: "Channel") -> None:
        self.is_over = False
        self.is_run_deleted = False
        self._channel = channel
        self._queued: list[RunEvent] = []
        self._queued_bytes = 0
        self._woken = asyncio.Event()

    async def is_connected(self, *, within: float) -> bool:
        """Wait at most `within` seconds until Redis has confirmed the subscription to the run's events."""
        await self._wait(within, lambda: self._channel.is_connected or self.is_over)
        return self._channel.is_connected and not self.is_over

    def collect(self, *, after: EventId | None) -> None:
        """Begin to queue live events for `take`: those after the last one that the follower has read, if any."""
        self._channel.last = self._channel.last or after
        self._channel.collecting.add(self)

    async def take(self, *, within: float) -> list[RunEvent]:
        """Return the queued events, oldest first, after up to `within` seconds; none if it has ended."""
        await self._wait(within, lambda: bool(self._queued) or self.is_over)
        taken, self._queued, self._queued_bytes = self._queued, [], 0
        return taken

    def end(self) -> None:
        """End the follower: no further event is queued. `take` still returns the events that are queued."""
        self.is_over = True
        self._channel.collecting.discard(self)
        self.wake()

    def offer(self, event: RunEvent) -> None:
        """Queue a live event for `take`. A follower with a full queue is too slow: it loses its queue and ends."""
        if len(self._queued) >= MAX_QUEUED_EVENTS or self._queued_bytes >= MAX_QUEUED_BYTES:
            log.info("event_hub.follower_cut_off", run_id=str(self._channel.run_id))
            self._queued, self._queued_bytes = [], 0
            self.end()
            return
        self._queued.append(event)
        self._queued_bytes += len(event.data)
        self.wake()

    def wake(self) -> None:
        """Make the call of `take` or `is_connected` that waits now check its condition again, if there is one."""
        self._woken.set()

    async def _wait(self, seconds: float, holds: Callable[[], bool]) -> None:
        if holds():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    self._woken.clear()
                    await self._woken.wait()


class Channel:
    """The followers of one run in this process, and the position of the last event that they received."""

    def __init__(self, run_id: UUID, *, pause: float) -> None:
        self.run_id = run_id
        self._pause = pause
        self.is_connected = False
        self.followers: set[Subscription] = set()
        self.collecting: set[Subscription] = set()
        # The last event that the followers have received, or have read before they called `collect`.
        self.last: EventId | None = None
        # Whether the followers know that the run is over.
        self._is_over = False
        self._subscribed_at: float | None = None

    def may_subscribe(self) -> bool:
        """Return whether to ask Redis now: it has not confirmed yet, and was not asked during the last pause."""
        now = asyncio.get_running_loop().time()
        if self.is_connected or (self._subscribed_at is not None and now - self._subscribed_at < self._pause):
            return False
        self._subscribed_at = now
        return True

    def connect(self) -> None:
        """Note that Redis has confirmed the subscription to the run's channel, and wake the waiting followers."""
        self.is_connected = True
        for follower in self.followers:
            follower.wake()

    def is_next(self, event: RunEvent) -> bool:
        """Return whether no event is missing between the last one that the followers received and this one."""
        if self.last is None:
            return not self.collecting or (event.id is not None and event.id.number == 1)
        return event.id == self.last._replace(number=self.last.number + 1)

    def is_known(self, event: RunEvent) -> bool:
        """Return whether the followers have this event already, live or read before they called `collect`."""
        known, id_ = self.last, event.id
        return (
            id_ is not None and known is not None and id_.epoch == known.epoch and id_.number <= known.number
        )

    def pass_on(self, event: RunEvent) -> None:
        """Queue a live event for each follower that has called `collect`, and note it as the last event received."""
        self.last = event.id or self.last
        if event.kind is not EventKind.ENTRY:
            self._is_over = event.kind is EventKind.ENDED
        for follower in list(self.collecting):
            follower.offer(event)

    def finish(self, final_state: bytes) -> None:
        """Tell the followers that the run is over, and that events may be missing; not if an event has said so."""
        if not self._is_over:
            self.pass_on(RunEvent(None, EventKind.GAP, b'{"lost":null}'))
            self.pass_on(RunEvent(None, EventKind.ENDED, final_state))

    async def catch_up(self, redis: RedisClient) -> None:
        """Read from Redis the events that the followers have missed, and queue them for the followers."""
        while self.collecting or self.last is not None:
            missed = await read_events(redis, self.run_id, after=self.last, count=_CATCH_UP_EVENTS)
            for event in missed:
                self.pass_on(event)
            if len(missed) < _CATCH_UP_EVENTS:
                return

    def end(self, *, is_run_deleted: bool = False) -> None:
        """End all followers of the run. Their `take` still returns the events that are queued."""
        for follower in list(self.followers):
            follower.is_run_deleted = is_run_deleted
            follower.end()
