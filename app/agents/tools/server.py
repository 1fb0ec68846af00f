"""An HTTP server on the loopback for the tools of one agent, with a token (contract 16.13).

Untrusted programs can reach this server, so it accepts little: one request per connection, bounded in size
and time, by POST to one path, with the token of this run. An accepted request is one message for protocol.py.
"""

import asyncio
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import h11
import orjson
import structlog

from app.agents.tools.protocol import VERSIONS, Answer, Tools, refusal
from app.shielded import shielded

PATH = "/mcp"
BODY_BYTES = 64 * 1024
_HEAD_BYTES = 16 * 1024
_CHUNK_BYTES = 16 * 1024
_CONNECTIONS = 16
_READ_SECONDS = 20.0
_SECONDS = 60.0
_DRAINED_BYTES = 2**20
_DRAIN_SECONDS = 0.2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ToolServer:
    """The address of the HTTP server for one agent's tools: its port on the loopback, and its bearer token."""

    port: int
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the server. The same URL works inside and outside of the agent's sandbox."""
        return f"http://127.0.0.1:{self.port}{PATH}"


def new_token() -> str:
    """Return a new random token. The agent of one run sends it with each call of its tools."""
    return secrets.token_urlsafe(32)


@asynccontextmanager
async def serve_tools(tools: Tools, token: str) -> AsyncIterator[ToolServer]:
    """Serve the tools of one agent on a port of the loopback until the block ends; yield the server's address.

    Requests need `token` as their bearer token. When the block ends, the port and all connections are closed.
    """
    served = _Server(tools, token)
    server = await asyncio.start_server(served.accept, "127.0.0.1", 0)
    try:
        yield ToolServer(server.sockets[0].getsockname()[1], token)
    finally:
        server.close()
        await shielded(served.aclose())


class _Refused(Exception):
    """An HTTP request that is refused before its message is read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = refusal(status, message)


class _Server:
    def __init__(self, tools: Tools, token: str) -> None:
        self._tools = tools
        self._expected = f"Bearer {token}".encode()
        self._connections: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; connections beyond a limit are closed."""
        if len(self._connections) >= _CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def aclose(self) -> None:
        """End all connections to the tool server."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._answer(connection, reader)
                writer.write(_encode(connection, answer))
                await writer.drain()
        except OSError as error:  # TimeoutError is one
            log.debug("tools.connection_failed", error=type(error).__name__)
        except Exception:
            log.exception("tools.unexpected_error")
        finally:
            writer.close()

    async def _answer(self, connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                message = await self._read(connection, reader)
        except _Refused as refused:
            return refused.answer
        except h11.RemoteProtocolError as error:
            await _drain(reader)
            return refusal(error.error_status_hint, "this is no request of HTTP/1.1")
        return await self._tools.answer(message)

    async def _read(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        """Return the message in the body of an HTTP request. Raises _Refused.

        Even a refused body is read to its end, unless it is huge: if the connection were closed earlier, the
        client could lose the answer.
        """
        message, read = b"", 0
        refused: _Refused | None = None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            elif isinstance(event, h11.Request):
                refused = self._refusal(event)
                if b"transfer-encoding" in dict(event.headers):
                    # A body in pieces of a byte each would cost the worker seconds.
                    await _drain(reader)
                    raise refused or _Refused(411, "the length of the body must be given")
            elif isinstance(event, h11.Data):
                read += len(event.data)
                if refused is None and read > BODY_BYTES:
                    refused = _Refused(413, f"the body has more than {BODY_BYTES} bytes")
                message = message + event.data if refused is None else b""
                if refused is not None and read > _DRAINED_BYTES:
                    raise refused
            elif isinstance(event, h11.EndOfMessage):
                if refused is not None:
                    raise refused
                return message
            else:
                raise ConnectionResetError

    def _refusal(self, request: h11.Request) -> _Refused | None:
        headers = dict(request.headers)
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        version = headers.get(b"mcp-protocol-version", VERSIONS[0].encode()).decode("latin-1")
        checks = (
            # Checked first, so that a client without the token learns nothing else.
            (
                hmac.compare_digest(headers.get(b"authorization", b""), self._expected),
                _Refused(401, "the token is missing or wrong, or its run has ended"),
            ),
            (b"origin" not in headers, _Refused(403, "this server is not for web pages")),
            (request.target == PATH.encode(), _Refused(404, f"there is only {PATH}")),
            (
                request.method == b"POST",
                _Refused(405, "only POST is allowed: this server begins nothing itself"),
            ),
            (kind == b"application/json", _Refused(415, "the body must be application/json")),
            (
                version in VERSIONS,
                _Refused(400, f"the protocol's version must be one of {', '.join(VERSIONS)}"),
            ),
        )
        return next((refused for is_met, refused in checks if not is_met), None)


def _encode(connection: h11.Connection, answer: Answer) -> bytes:
    body = b"" if answer.body is None else orjson.dumps(answer.body)
    headers = [("Content-Length", str(len(body))), ("Connection", "close"), ("Cache-Control", "no-store")]
    if body:
        headers.append(("Content-Type", "application/json"))
    if answer.status == 401:  # noqa: PLR2004 - unauthorized
        headers.append(("WWW-Authenticate", "Bearer"))
    if answer.status == 405:  # noqa: PLR2004 - method not allowed
        headers.append(("Allow", "POST"))
    parts = (
        connection.send(h11.Response(status_code=answer.status, headers=headers)),
        connection.send(h11.Data(data=body)),
        connection.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)


async def _drain(reader: asyncio.StreamReader) -> None:
    """Read and discard what a client still sends, for a short time."""
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while taken < _DRAINED_BYTES and (chunk := await reader.read(_CHUNK_BYTES)):
                taken += len(chunk)
