"""An HTTP server on the loopback for the tools of one agent, with a token (contract 16.13).

Untrusted programs can reach it: one request a connection, bounded in size and time. A connection without the token
takes no place of one with it; of many, the oldest is closed for the newest.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h11
import orjson
import structlog

from app.agents.tools.mcp_protocol import VERSIONS, Refused, ToolResponse, Tools
from app.coroutines.periodic import cancel_all
from app.coroutines.shielded import shielded

PATH = "/mcp"
BODY_BYTES = 64 * 1024
_HEAD_BYTES = 16 * 1024
_CHUNK_BYTES = 16 * 1024
# The most connections that have shown the token, and the most others.
_CONNECTIONS = 16
_STRANGERS = 64
# The time limits for a connection with the token: to send the message, and for the answer to it.
_READ_SECONDS = 20.0
_ANSWER_SECONDS = 40.0
_DRAINED_BYTES = 2**20
_DRAIN_SECONDS = 0.2

log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve_tools(tools: Tools, token: str, *, stranger_seconds: float = 5.0) -> AsyncIterator[int]:
    """Serve the tools of one agent on a port of the loopback, which it yields; at its end connections are closed."""
    served = _Server(tools, token, stranger_seconds)
    server = await asyncio.start_server(served.accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await shielded(served.aclose())


class _Server:
    def __init__(self, tools: Tools, token: str, stranger_seconds: float) -> None:
        self._tools = tools
        self._stranger_seconds = stranger_seconds
        self._expected = f"Bearer {token}".encode()
        self._admitted: set[asyncio.Task[None]] = set()
        self._strangers: dict[asyncio.Task[None], None] = {}  # the oldest first

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; of too many that have not shown the token, the oldest is closed."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._strangers[task] = None

        def end(task: asyncio.Task[None]) -> None:
            self._strangers.pop(task, None)
            self._admitted.discard(task)
            writer.close()  # here, because a task that is cancelled before its first step runs no `finally`

        task.add_done_callback(end)
        if len(self._strangers) > _STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()

    async def aclose(self) -> None:
        await cancel_all([*self._strangers, *self._admitted])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        try:
            async with asyncio.timeout(self._stranger_seconds) as limit:
                try:
                    message = await self._read(connection, reader, limit)
                except Refused as refused:
                    answer = refused.answer()
                except h11.RemoteProtocolError as error:
                    await _drain(reader)
                    answer = Refused(error.error_status_hint, "this is no request of HTTP/1.1").answer()
                else:
                    _extend(limit, _ANSWER_SECONDS)
                    answer = await self._tools.answer(message)
                writer.write(_encode(connection, answer))
                await writer.drain()
        except OSError as error:  # TimeoutError is one
            log.debug("tools.connection_failed", error=type(error).__name__)
        except Exception:
            # Logged here, because nothing awaits the task of a connection.
            log.exception("tools.unexpected_error")

    async def _read(
        self, connection: h11.Connection, reader: asyncio.StreamReader, limit: asyncio.Timeout
    ) -> bytes:
        # A refused body is read too, unless it is huge: closing a connection with unread data can discard the answer.
        message, read = b"", 0
        refused: Refused | None = None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            elif isinstance(event, h11.Request):
                refused = self._admit(dict(event.headers), limit) or _refusal(event)
                if b"transfer-encoding" in dict(event.headers):
                    # Parsing a body in chunks of one byte each would take seconds.
                    await _drain(reader)
                    raise refused or Refused(411, "the length of the body must be given")
            elif isinstance(event, h11.Data):
                read += len(event.data)
                if refused is None and read > BODY_BYTES:
                    refused = Refused(413, f"the body has more than {BODY_BYTES} bytes")
                message = message + event.data if refused is None else b""
                if refused is not None and read > _DRAINED_BYTES:
                    raise refused
            elif isinstance(event, h11.EndOfMessage):
                if refused is not None:
                    raise refused
                return message
            else:
                raise ConnectionResetError

    def _admit(self, headers: dict[bytes, bytes], limit: asyncio.Timeout) -> Refused | None:
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            return Refused(401, "the token is missing or wrong, or its run has ended")
        if len(self._admitted) >= _CONNECTIONS:
            return Refused(429, f"there are {_CONNECTIONS} other calls at this time")
        task = asyncio.current_task()
        if task in self._strangers:  # else the connection is being closed for a newer one
            del self._strangers[task]
            self._admitted.add(task)
            _extend(limit, _READ_SECONDS)
        return None


def _extend(limit: asyncio.Timeout, seconds: float) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


def _refusal(request: h11.Request) -> Refused | None:
    headers = dict(request.headers)
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    version = headers.get(b"mcp-protocol-version", VERSIONS[0].encode()).decode("latin-1")
    checks = (
        (b"origin" not in headers, 403, "this server is not for web pages"),
        (request.target == PATH.encode(), 404, f"there is only {PATH}"),
        (request.method == b"POST", 405, "only POST is allowed: this server begins nothing itself"),
        (kind == b"application/json", 415, "the body must be application/json"),
        (version in VERSIONS, 400, f"the protocol's version must be one of {', '.join(VERSIONS)}"),
    )
    return next((Refused(status, message) for is_met, status, message in checks if not is_met), None)


def _encode(connection: h11.Connection, answer: ToolResponse) -> bytes:
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
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while taken < _DRAINED_BYTES and (chunk := await reader.read(_CHUNK_BYTES)):
                taken += len(chunk)
