"""Server-sent events as an answer: sent as they come, ended when the client goes, the run ends or the process stops."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from fastapi import Response
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from app.web.middleware import IS_ENDLESS, IS_HEAD

__all__ = ["MEDIA_TYPE", "EventStream", "Frames"]

MEDIA_TYPE = "text/event-stream"
_HEADERS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    # For nginx, which would keep events back until a buffer is full.
    (b"x-accel-buffering", b"no"),
]
_OPEN = Gauge("taskbeacon_open_streams", "Clients that follow a run through this process.")


class Frames(Protocol):
    """What an answer consists of."""

    def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield what to send, until it is over."""
        ...

    def end(self) -> None:
        """Let `frames` come to its end soon."""
        ...


class EventStream(Response):
    """An answer without end; what it needs is opened when it begins and closed when it is over."""

    media_type = MEDIA_TYPE

    def __init__(self, source: AbstractAsyncContextManager[Frames]) -> None:
        self._source = source
        # What Starlette expects of a response whose body it does not know.
        self.status_code = 200
        self.background = None

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until there are no more or nobody is left to get them."""
        scope[IS_ENDLESS] = True
        async with self._source as source:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if IS_HEAD not in scope:
                await self._send(source, receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, source: Frames, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_end_with_client(receive, source))
        try:
            with _OPEN.track_inprogress():
                async with aclosing(source.frames()) as frames:
                    async for frame in frames:
                        await send({"type": "http.response.body", "body": frame, "more_body": True})
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _end_with_client(receive: Receive, source: Frames) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    source.end()
