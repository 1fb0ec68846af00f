"""uvicorn's connections, with limits on data and time of clients, and an orderly end of streams.

uvicorn limits neither the size nor the time of the head of a request, httptools joins long headers in
quadratic time, and each header and each chunk of a body calls Python. This is a protocol class, not a server
class, because each process of `--workers` makes its own server.

The only file that relies on undocumented parts of uvicorn: the callbacks of `HttpToolsProtocol`, its `cycle`,
`pipeline` and `flow`, and the fields of `RequestResponseCycle`. If a release renames one of them,
`tests/cli/test_http_protocol.py` fails, and connections end with an error.
"""

import asyncio
import http
import socket
from typing import ClassVar

import orjson
import structlog
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api_limits import (
    BODY_CHUNK_BYTES,
    BODY_CHUNKS,
    HEAD_BYTES,
    HEAD_FIELDS,
    HEAD_SECONDS,
    LINGER_SECONDS,
    PIPELINED_REQUESTS,
    UNACKNOWLEDGED_SECONDS,
)
from app.errors import AppError, HeadTooLarge, MalformedRequest, RequestTimeout
from app.ids import new_hex_id

_HEAD_LIMIT = f"{HEAD_BYTES} bytes"
_HEADER_FRAME_BYTES = len(b": \r\n")

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """An exception that stops the HTTP parser from within one of its callbacks."""


class StreamingProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits on heads, times and pipelined requests."""

    # How long sent data may stay unacknowledged or unread by the client. Streams send something every 20 seconds, so
    # that a device without a network does not count as watching for much longer than one that sends no more beats.
    unacknowledged_milliseconds: ClassVar[int] = int(UNACKNOWLEDGED_SECONDS * 1000)
    head_seconds: ClassVar[float] = HEAD_SECONDS

    # Whether the parser is in the head of a request, or in its body.
    _in_head = False
    _in_body = False
    # Bytes since the last callback of the parser, and whether the current piece has caused none. The parser itself
    # limits neither heads nor trailers of chunked bodies nor extensions of chunks.
    _silent_bytes = 0
    _was_silent = True
    # Headers and trailers so far of the request that is being read; how many more chunks the current piece may have.
    _fields = 0
    _chunks_left = 0
    # The timer that ends the wait for a head, or for a refused client to disconnect.
    _clock: asyncio.TimerHandle | None = None
    # The reason why the request that is being read cannot be served, and whether the connection reads no more.
    _refusal: AppError | None = None
    _is_refused = False
    # The request that is being answered; uvicorn's own `cycle` is the last one that was read.
    _answered: RequestResponseCycle | None = None
    # Whether a response is complete here, but not yet received by the client.
    _is_untaken = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.unacknowledged_milliseconds
            )
        self._start_clock()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        # uvicorn abandons only the last request; earlier ones would write to a closed transport.
        for cycle in (self._answered, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None:
                _abandon(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        # In pieces, because httptools takes quadratic time for one long header.
        for start in range(0, len(data), HEAD_BYTES):
            if self._is_refused:
                return
            piece = data[start : start + HEAD_BYTES]
            self._was_silent = True
            self._chunks_left = BODY_CHUNKS + len(piece) // BODY_CHUNK_BYTES
            super().data_received(piece)
            self._silent_bytes = self._silent_bytes + len(piece) if self._was_silent else 0
            if self._silent_bytes > HEAD_BYTES and not self._is_refused:
                self._refuse(HeadTooLarge(_HEAD_LIMIT))
        if self._clock is None and not self._is_refused and not self._is_busy:
            # uvicorn's own timer covers only the wait for the first byte.
            self._start_clock()

    @override
    def on_message_begin(self) -> None:
        self._in_head = True
        self._was_silent = False
        self._fields = 0
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > HEAD_FIELDS:
            self._refusal = HeadTooLarge(f"{HEAD_FIELDS} headers")
            raise _Refused
        # Trailers of a body are ignored: they would become headers of the request that is being served.
        if self._in_head:
            super().on_header(name, value)

    @override
    def on_body(self, body: bytes) -> None:
        self._was_silent = False
        self._chunks_left -= 1
        if self._chunks_left < 0:
            self._refusal = MalformedRequest("The chunks of the body are too small.")
            raise _Refused
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._was_silent = False
        self._in_body = False
        super().on_message_complete()

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._was_silent = False
        self._stop_clock()
        size = len(self.url) + sum(
            len(name) + len(value) + _HEADER_FRAME_BYTES for name, value in self.headers
        )
        if size > HEAD_BYTES:
            self._refusal = HeadTooLarge(_HEAD_LIMIT)
            raise _Refused
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            # This request gets no response: the connection is closed after those that wait.
            raise _Refused
        super().on_headers_complete()
        self._in_body = True
        if not self.pipeline:
            self._answered = self.cycle

    @override
    def on_response_complete(self) -> None:
        if self.flow.write_paused and not self.transport.is_closing():
            # The next request waits until the client has received this response. Else a client that reads nothing could
            # have the responses to all its requests computed.
            self._is_untaken = True
            return
        following = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        self._answered = following

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_untaken:
            self._is_untaken = False
            self.on_response_complete()

    @override
    def send_400_response(self, msg: str) -> None:
        """Answer what the HTTP parser refused with `msg`, and close the connection. uvicorn calls this."""
        self._refuse(self._refusal or MalformedRequest(msg))

    @override
    def shutdown(self) -> None:
        # The server now waits for responses, and streams do not end by themselves. Their clients reconnect elsewhere.
        self.app_state["hub"].end_all()
        super().shutdown()

    @property
    def _is_busy(self) -> bool:
        return self._answered is not None

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(self.head_seconds, self._give_up_head)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _give_up_head(self) -> None:
        self._clock = None
        if self._is_busy:
            # While a request is answered this side may have stopped reading. The next byte starts the timer again.
            return
        if self._in_head:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: AppError) -> None:
        self._is_refused = True
        self._stop_clock()
        if self._is_busy and not self.cycle.more_body:
            # The requests before this one get their responses; then the connection is closed.
            self.cycle.keep_alive = False
            return
        if self._is_busy:
            # The refused bytes belong to the body of the last request.
            is_its_turn = self._answered is self.cycle and not self.cycle.response_started
            _abandon(self.cycle)
            if not is_its_turn:
                self.transport.close()
                return
        if self._is_busy or not self._in_body:
            # Otherwise this request already has its response, sent before the end of its body.
            self.transport.write(_answer(error))
        # To close a connection with unread data resets it, and the client would lose the response.
        self.flow.resume_reading()
        self.transport.write_eof()
        self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _abandon(cycle: RequestResponseCycle) -> None:
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def _answer(error: AppError) -> bytes:
    request_id = new_hex_id()
    log.info("http.refused", status=error.status, code=error.code, request_id=request_id)
    body = orjson.dumps(error.body)
    head = (
        f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
