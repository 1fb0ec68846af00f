"""Responses of routes: plain data is encoded to JSON once."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache
from typing import Any, Generic
from uuid import UUID

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import URL
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import TypeVar, override

from app.api_limits import (
    LARGE_RESPONSE_BYTES,
    LARGE_RESPONSE_WAIT_SECONDS,
    LARGE_RESPONSES,
    RESPONSE_BYTES_AT_ONCE,
    RESPONSE_BYTES_PER_SECOND,
    RESPONSE_SECONDS,
)
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, RangeNotSatisfiable
from app.errors import ArtifactNotFound, Unavailable
from app.schemas.base import ApiPath
from app.services.artifacts.manifest import DownloadableFile
from app.services.run_log.log_writing import CONTENT_TYPE
from app.web.asgi_keys import IS_HEAD

TEXT = "text/plain"


class LargeResponses:
    """Sends the JSON responses of a process that are larger than 1 MiB, at most `slots` of them at the same time.

    Further responses wait until one has been sent, up to `wait_seconds`. After that, the response to a read is refused
    with 503, and any other response is sent.
    """

    def __init__(
        self,
        *,
        slots: int = LARGE_RESPONSES,
        wait_seconds: float = LARGE_RESPONSE_WAIT_SECONDS,
        seconds: float = RESPONSE_SECONDS,
        bytes_per_second: int = RESPONSE_BYTES_PER_SECOND,
    ) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._wait_seconds = wait_seconds
        self._seconds = seconds
        self._bytes_per_second = bytes_per_second

    async def send(self, start: Message, body: bytes, send: Send, *, may_refuse: bool) -> None:
        """Send a large response when there is room; `may_refuse` refuses it if there is none in time."""
        async with self._slot(may_refuse=may_refuse):
            await _send_in_pieces(start, body, self.bounded(send))

    def bounded(self, send: Send) -> Send:
        """Return `send` with a time limit for the client; raises ClientDisconnect if it reads too slowly."""
        left = self._seconds

        async def send_in_time(message: Message) -> None:
            nonlocal left
            began = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None
            left += len(message.get("body", b"")) / self._bytes_per_second - (time.monotonic() - began)

        return send_in_time

    @asynccontextmanager
    async def _slot(self, *, may_refuse: bool) -> AsyncGenerator[None, None]:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            if may_refuse:
                raise Unavailable(
                    "Too many large answers are being sent. Please try again in a moment."
                ) from None
            yield
            return
        try:
            yield
        finally:
            self._slots.release()


async def _send_in_pieces(start: Message, body: bytes, send: Send) -> None:
    await send(start)
    for begin in range(0, len(body), RESPONSE_BYTES_AT_ONCE):
        end = begin + RESPONSE_BYTES_AT_ONCE
        # `send` waits until the client has read most of the earlier pieces.
        await send({"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)})


SAFE_METHODS = frozenset({"GET", "HEAD"})


Content = TypeVar("Content", default=Any)


class Json(Response, Generic[Content]):
    """A JSON response in the formats of the contract (2.8). For example, times are in UTC and end with `Z`."""

    media_type = "application/json"

    def __init__(
        self,
        content: Content,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        encoded: bytes | None = None,
    ) -> None:
        self._content = content
        self._encoded = encoded
        # Attributes that Starlette expects of a response.
        self.status_code = status_code
        self.background = None
        self.raw_headers = [
            *(
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in (headers or {}).items()
            ),
            (b"content-type", b"application/json"),
        ]

    def encode(self, scope: Scope) -> bytes:
        """Return the content as JSON for the request with this scope. It is encoded at the first call and then kept."""
        if self._encoded is None:
            # Computed at its first use, because few responses contain a path of the API.
            origin = cache(lambda: str(URL(scope=scope).replace(path="", query="")))

            def encode_value(value: object) -> str:
                if isinstance(value, UUID):
                    return str(value)
                if isinstance(value, ApiPath):
                    return origin() + value.path
                raise TypeError(f"{type(value).__name__} does not belong into an answer")

            self._encoded = orjson.dumps(self._content, default=encode_value, option=orjson.OPT_UTC_Z)
        return self._encoded

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self.encode(scope)
        start: Message = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": [*self.raw_headers, (b"content-length", str(len(body)).encode())],
        }
        if len(body) <= LARGE_RESPONSE_BYTES:
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        large: LargeResponses = scope["app"].state.large_responses
        await large.send(start, body, send, may_refuse=scope["method"] in SAFE_METHODS)


class SecretJson(Json[Content]):
    """A JSON response that shows a secret, which no cache may keep."""

    def __init__(
        self, content: Content, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code, {**(headers or {}), "Cache-Control": "no-store"})


def json_by(result: tuple[Content, bool], *, yes: int, no: int) -> Json[Content]:
    """Return the response with the content of a result, and with the status `yes` or `no`, as the result says."""
    content, is_so = result
    return Json(content, status_code=yes if is_so else no)


def server_timing(metric: str, started: float) -> dict[str, str]:
    """Return the header `Server-Timing` with the milliseconds since `started` by the performance counter."""
    return {"Server-Timing": f"{metric};dur={(time.perf_counter() - started) * 1000:.1f}"}


# One range of bytes; a request for several ranges is answered with the whole file (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18})", re.ASCII)
_ETAG = re.compile(r'"[!#-~]{1,200}"', re.ASCII)
_HEADERS = {
    # If a browser shows the file anyway, it runs no scripts and loads nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Accept-Ranges": "bytes",
}


class StoredFile(Response):
    """A response with a file from object storage. The file is sent in chunks, and is never completely in memory."""

    def __init__(self, request: Request, store: ObjectStore, file: DownloadableFile) -> None:
        self._store = store
        self._file = file
        self._range, self._if_match = _requested_range(request)
        # Attributes that Starlette expects of a response with an unknown body.
        self.status_code = 200
        self.background = None

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = self._file
        try:
            async with self._store.open(
                file.storage_path, byte_range=self._range, if_match=self._if_match
            ) as content:
                headers = _HEADERS | {
                    "Content-Type": file.content_type,
                    "Content-Disposition": file.disposition,
                    "Content-Length": str(content.size),
                    **({"ETag": content.etag} if content.etag else {}),
                    **({"Content-Range": content.content_range} if content.content_range else {}),
                }
                status = 206 if content.content_range else 200
                if IS_HEAD in scope:
                    await Response(status_code=status, headers=headers)(scope, receive, send)
                else:
                    await Streamed(content.chunks, status, headers)(scope, receive, send)
        except RangeNotSatisfiable:
            await Response(status_code=416, headers={"Accept-Ranges": "bytes"})(scope, receive, send)
        except ObjectMissing:
            # The object has expired or was removed by hand; the entry remains.
            raise ArtifactNotFound from None


class Streamed(StreamingResponse):
    """A response from object storage in the pieces of an asynchronous generator; ends clients that read too slowly."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        large: LargeResponses = scope["app"].state.large_responses
        pieces = self.body_iterator
        assert isinstance(pieces, AsyncGenerator)
        # Closed here, because the object in the store stays open until the generator is closed.
        async with aclosing(pieces):
            await super().__call__(scope, receive, large.bounded(send))


def streamed_log(lines: AsyncGenerator[bytes], accept: str | None) -> Streamed:
    """Return the response with the lines of a log, as plain text for a client that accepts exactly that."""
    media_type = TEXT if (accept or "").strip().lower() == TEXT else CONTENT_TYPE
    headers = {"Cache-Control": "no-cache", "Vary": "Accept, Authorization, Cookie"}
    return Streamed(lines, media_type=media_type, headers=headers)


def _requested_range(request: Request) -> tuple[str | None, str | None]:
    byte_range = request.headers.get("range", "").strip()
    found = _RANGE.fullmatch(byte_range)
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        return None, None
    version = request.headers.get("if-range")
    if version is None:
        return byte_range, None
    # A date is not precise enough, and a weak tag is not allowed here: such clients get the whole file.
    return (byte_range, version) if _ETAG.fullmatch(version) else (None, None)
