"""Pass live events of runs from Redis to all followers in this process, through one connection.

A follower that is too slow is cut off, and can reconnect after its last event.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any
from uuid import UUID

import structlog

from app.clients.live_events.run_event_stream import channel_of, parse_message
from app.clients.live_events.run_followers import Channel, Subscription
from app.clients.redis import RedisClient, messages_of
from app.outages import REDIS_ERRORS

_SILENCE_SECONDS = 15.0
_LOOK_SECONDS = 20.0
_COMMAND_SECONDS = 5.0

log = structlog.get_logger(__name__)

# Takes followed runs; returns the final states of ended runs, and None for deleted runs.
LookUp = Callable[[Collection[UUID]], Awaitable[Mapping[UUID, bytes | None]]]


class EventHub:
    """Delivers new stream events of runs to all followers in this process, over one connection.

    Every `look_seconds`, `look_up` finds the followed runs that have ended or were deleted, so that their followers end
    even if Redis has lost the event.
    """

    def __init__(
        self, redis: RedisClient, look_up: LookUp, *, pause: float, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        self._redis = redis
        self._look_up = look_up
        self._look_seconds = look_seconds
        self._pause = pause
        self._channels: dict[str, Channel] = {}
        self._pubsub: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._has_channels = asyncio.Event()
        self._commanding = asyncio.Lock()
        self._is_closed = False

    @asynccontextmanager
    async def follow(self, run_id: UUID) -> AsyncGenerator[Subscription, None]:
        """Return a context manager that yields a new follower of a run; it has ended already after `end_all`."""
        name = channel_of(run_id)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = Channel(run_id, pause=self._pause)
            self._has_channels.set()
            self._start()
        follower = Subscription(channel)
        channel.followers.add(follower)
        follower.is_over = self._is_closed
        try:
            # Each follower subscribes again: the first subscription may have been lost with its connection.
            if channel.may_subscribe():
                await self._reconcile(name)
            yield follower
        finally:
            follower.end()
            channel.followers.discard(follower)
            if not channel.followers and self._channels.get(name) is channel:
                del self._channels[name]
                if not self._channels:
                    self._has_channels.clear()
                await self._reconcile(name)

    def end_all(self) -> None:
        """End all followers, because the process is about to stop. From now on, new followers end at once."""
        self._is_closed = True
        for channel in self._channels.values():
            channel.end()

    async def aclose(self) -> None:
        self.end_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        if not self._tasks and not self._is_closed:
            # An empty context, since these tasks outlive the request that starts them, and must not log its id.
            self._tasks = [
                asyncio.create_task(self._read(), context=Context()),
                asyncio.create_task(self._look(), context=Context()),
            ]

    async def _reconcile(self, name: str) -> None:
        # One command at a time, chosen when it is sent: a leaving follower must not end the subscription of a new one.
        async with self._commanding:
            if self._pubsub is None:
                # The next connection subscribes to all channels.
                return
            command = self._pubsub.subscribe if name in self._channels else self._pubsub.unsubscribe
            with suppress(*REDIS_ERRORS):
                async with asyncio.timeout(_COMMAND_SECONDS):
                    await command(name)

    async def _read(self) -> None:
        while True:
            await self._has_channels.wait()
            try:
                async with self._redis.pubsub() as pubsub:
                    names = list(self._channels)
                    if names:
                        await pubsub.subscribe(*names)
                        self._pubsub = pubsub
                        # Subscribe to channels that were added during the first command.
                        if new := [name for name in self._channels if name not in names]:
                            await pubsub.subscribe(*new)
                        await self._pass_on(pubsub)
            except REDIS_ERRORS as error:
                log.warning("event_hub.disconnected", error=repr(error))
            except Exception:
                # Continue with a new connection, because all followers depend on this task.
                log.exception("event_hub.unexpected_error")
            finally:
                self._pubsub = None
                for channel in self._channels.values():
                    channel.is_connected = False
            await asyncio.sleep(self._pause)

    async def _pass_on(self, pubsub: Any) -> None:
        async for message in messages_of(pubsub, silence=_SILENCE_SECONDS):
            if message["type"] not in {"subscribe", "message"}:
                continue
            channel = self._channels.get(message["channel"].decode())
            if channel is None:
                continue
            if message["type"] == "subscribe":
                channel.connect()
                await channel.catch_up(self._redis)
            elif channel.is_next(event := parse_message(message["data"])):
                channel.pass_on(event)
            elif not channel.is_known(event):
                await channel.catch_up(self._redis)

    async def _look(self) -> None:
        while True:
            await self._has_channels.wait()
            await asyncio.sleep(self._look_seconds)
            for name in [name for name, channel in self._channels.items() if channel.may_subscribe()]:
                await self._reconcile(name)
            channels = {channel.run_id: channel for channel in self._channels.values()}
            try:
                over = await self._look_up(list(channels)) if channels else {}
                await asyncio.gather(*(self._end(channels[run_id], state) for run_id, state in over.items()))
            except Exception:
                # Continue, because all followers depend on this task.
                log.exception("event_hub.not_looked_up")

    async def _end(self, channel: Channel, final_state: bytes | None) -> None:
        if final_state is None:
            channel.end(is_run_deleted=True)
            return
        # Read the events that were published after the connection broke unnoticed.
        with suppress(*REDIS_ERRORS):
            async with asyncio.timeout(_COMMAND_SECONDS):
                await channel.catch_up(self._redis)
        channel.finish(final_state)
