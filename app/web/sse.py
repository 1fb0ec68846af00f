"""Write the bytes of live streams: responses of server-sent events, sent until their source is over.

A stream also ends when its client disconnects, its caller loses access or the process stops.

FastAPI's `EventSourceResponse` is not used, since it encodes events itself and adds comments every 15
seconds. Nor is Starlette's `StreamingResponse`, since it cancels its source when the client disconnects, and
with it the end of the device's presence.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Annotated

from fastapi import Header, Response
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from app.json_types import JsonDict
from app.services.streams.run_streams import RunFollower
from app.services.streams.topic_streams import TopicFollower
from app.web.asgi_keys import IS_ENDLESS, IS_HEAD
from app.web.dependencies import Call

MEDIA_TYPE = "text/event-stream"
_Follower = RunFollower | TopicFollower
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="Id of the last received frame: the stream continues after it. Browsers send this header.",
    ),
]
_HEADERS = [
    (b"content-type", MEDIA_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    # For nginx, which would otherwise hold events until a buffer is full.
    (b"x-accel-buffering", b"no"),
]
_OPEN = Gauge("taskbeacon_open_streams", "Live streams that clients follow through this process.")


def streamed(duration: str) -> dict[int | str, JsonDict]:
    """Return the argument `responses` of a route that sends a live stream."""
    return {
        200: {
            "description": f"Server-sent events, {duration}.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    }


class EventStream(Response):
    def __init__(self, call: Call, source: AbstractAsyncContextManager[_Follower]) -> None:
        super().__init__(status_code=200)
        self._call = call
        self._source = source

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[IS_ENDLESS] = True
        async with self._source as source, self._watch_caller(source):
            await send({"type": "http.response.start", "status": self.status_code, "headers": _HEADERS})
            if IS_HEAD not in scope:
                watching = asyncio.create_task(_end_with_client(receive, source))
                try:
                    with _OPEN.track_inprogress():
                        async with aclosing(source.frames()) as frames:
                            async for frame in frames:
                                await send({"type": "http.response.body", "body": frame, "more_body": True})
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _watch_caller(self, source: _Follower) -> AbstractAsyncContextManager[None]:
        caller, process = self._call.caller, self._call.process
        return process.open_streams.watching(process.sessions, caller, source.run_ids, source.end)


async def _end_with_client(receive: Receive, source: _Follower) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    source.end()
