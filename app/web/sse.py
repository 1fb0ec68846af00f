"""Server-sent events as an answer: sent as they come, ended when the client goes, the run ends or the process stops.

Not FastAPI's `EventSourceResponse`: it encodes events itself and adds comments of its own every 15 seconds. Nor Starlette's
`StreamingResponse`: it cancels what it sends when the client goes, and with it the end of the device's presence.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated, Any, Protocol

from fastapi import Header, Response
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from app.web.middleware import IS_ENDLESS, IS_HEAD

MEDIA_TYPE = "text/event-stream"
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The id of the last frame that the client has; it gets what came after it. Browsers send it.",
    ),
]
# The answer of a stream over the ledger, as published.
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, for 15 minutes.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
_HEADERS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    # For nginx, which would keep events back until a buffer is full.
    (b"x-accel-buffering", b"no"),
]
_OPEN = Gauge("taskbeacon_open_streams", "Clients that follow a run through this process.")


class Follower(Protocol):
    """One client of a stream."""

    def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield what to send, until it is over."""
        ...

    def end(self) -> None:
        """Let `frames` come to its end soon."""
        ...


class EventStream(Response):
    """An answer without end; what it needs is opened when it begins and closed when it is over."""

    def __init__(self, source: AbstractAsyncContextManager[Follower]) -> None:
        super().__init__(status_code=200)
        self._source = source

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until there are no more, or the client has gone."""
        scope[IS_ENDLESS] = True
        async with self._source as follower:
            await send({"type": "http.response.start", "status": self.status_code, "headers": _HEADERS})
            if IS_HEAD not in scope:
                watching = asyncio.create_task(_end_with_client(receive, follower))
                try:
                    with _OPEN.track_inprogress():
                        async with aclosing(follower.frames()) as frames:
                            async for frame in frames:
                                await send({"type": "http.response.body", "body": frame, "more_body": True})
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _end_with_client(receive: Receive, follower: Follower) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.end()
