"""Send files from object storage as responses, piece by piece, never completely in memory.

The object is opened when the response begins, so a request that fails earlier leaves nothing open; errors of the store
at that time still get an ordinary error response.
"""

import asyncio
import re

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from app.clients.object_store import ObjectContent, ObjectMissing, ObjectStore, RangeNotSatisfiable
from app.errors import ArtifactNotFound
from app.services.artifacts.manifest import DownloadableFile

# One range of bytes; a request for several ranges is answered with the whole file (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})", re.ASCII)
_ETAG = re.compile(r'"[!#-~]{1,200}"', re.ASCII)
_SEND_SECONDS = 3600
_HEADERS = {
    # If a browser shows the file anyway, it runs no scripts and loads nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Accept-Ranges": "bytes",
}


class StoredFile(Response):
    """A response with a file from object storage. The file is sent in chunks, and is never completely in memory.

    A client can request a range of bytes by `Range`. With `If-Range`, it gets the range only if the file still has the
    given ETag, and otherwise the whole file.
    """

    def __init__(self, request: Request, store: ObjectStore, file: DownloadableFile) -> None:
        self._store = store
        self._file = file
        self._range, self._if_match = _requested_range(request)
        # Attributes that Starlette expects of a response with an unknown body.
        self.status_code = 200
        self.background = None

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the stored object and send it (ASGI). After an hour the transfer is aborted."""
        try:
            async with (
                asyncio.timeout(_SEND_SECONDS),
                self._store.open(
                    self._file.storage_path, byte_range=self._range, if_match=self._if_match
                ) as content,
            ):
                await self._send(content, send)
        except RangeNotSatisfiable:
            await Response(status_code=416, headers={"Accept-Ranges": "bytes"})(scope, receive, send)
        except ObjectMissing:
            # The object has expired or was removed by hand; the entry remains.
            raise ArtifactNotFound from None

    async def _send(self, content: ObjectContent, send: Send) -> None:
        headers = {
            **_HEADERS,
            "Content-Type": self._file.content_type,
            "Content-Disposition": self._file.disposition,
            "Content-Length": str(content.size),
        }
        if content.etag:
            headers["ETag"] = content.etag
        if content.content_range is not None:
            headers["Content-Range"] = content.content_range
        await send(
            {
                "type": "http.response.start",
                "status": 200 if content.content_range is None else 206,
                "headers": [
                    (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
                ],
            }
        )
        async for chunk in content.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _requested_range(request: Request) -> tuple[str | None, str | None]:
    byte_range = request.headers.get("range", "").strip()
    if not _RANGE.fullmatch(byte_range):
        return None, None
    version = request.headers.get("if-range")
    if version is None:
        return byte_range, None
    # A date is not precise enough, and a weak tag is not allowed here: such clients get the whole file.
    return (byte_range, version) if _ETAG.fullmatch(version) else (None, None)
