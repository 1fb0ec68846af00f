"""A client of live streams over real HTTP, as a browser is one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from app.clients.live_events.event_hub import EventHub

_WAIT_SECONDS = 100


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of a stream as its client gets it (server-sent events)."""

    id: str | None
    name: str
    data: Any


def follower_count(hub: EventHub) -> int:
    """Return the number of followers of all runs in this process."""
    return sum(len(channel.followers) for channel in hub._channels.values())


class StreamReader:
    """Reads the response of a stream, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_id: str | None = None
        # Whether the stream has said that its run is over.
        self.is_complete = False
        self._lines = response.aiter_lines()

    async def next(self) -> StreamEvent | None:
        """Return the next event of the stream, None at its end."""
        async with asyncio.timeout(_WAIT_SECONDS):
            return await self._next(self._lines)

    async def take(self, count: int) -> list[StreamEvent]:
        """Return the next `count` events, keepalives aside."""
        taken: list[StreamEvent] = []
        while len(taken) < count:
            event = await self.next()
            assert event is not None, f"the stream ended after {taken}"
            if event.name != "keepalive":
                taken.append(event)
        return taken

    async def until_silent(self) -> None:
        """Wait for a keepalive: the stream has sent all events that it had."""
        while (event := await self.next()) is None or event.name != "keepalive":
            assert event is not None, "the stream ended"

    async def rest(self) -> list[StreamEvent]:
        """Return all events up to the end of the stream; keepalives and `stream-end` aside (see `is_complete`)."""
        taken: list[StreamEvent] = []
        async with asyncio.timeout(_WAIT_SECONDS):
            while (event := await self.next()) is not None:
                assert not self.is_complete, f"{event} follows the end of the stream"
                if event.name == "stream-end":
                    assert event == StreamEvent(None, "stream-end", {"status": "complete"})
                    self.is_complete = True
                elif event.name != "keepalive":
                    taken.append(event)
        return taken

    async def _next(self, lines: AsyncIterator[str]) -> StreamEvent | None:
        fields: dict[str, str] = {}
        async for line in lines:
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif "data" in fields:
                self.last_id = fields.get("id", self.last_id)
                return StreamEvent(
                    fields.get("id"), fields.get("event", "message"), orjson.loads(fields["data"])
                )
            else:
                fields.clear()
        return None


@asynccontextmanager
async def following(
    client: httpx.AsyncClient,
    url: str,
    *,
    after: str | None = None,
    headers: dict[str, str] | None = None,
    **query: str,
) -> AsyncGenerator[StreamReader, None]:
    """Yield a reader of the stream at this URL; the connection is closed after the block."""
    place = {} if after is None else {"Last-Event-ID": after}
    async with client.stream(
        # The reader has a deadline of its own for each event.
        "GET",
        f"{url}/stream",
        headers=place | (headers or {}),
        params=query,
        timeout=None,
    ) as response:
        if response.status_code != 200:
            await response.aread()
        yield StreamReader(response)
