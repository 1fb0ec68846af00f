"""uvicorn's connections, with limits for what a client may send and hold open, and with endings for streams.

uvicorn bounds neither the head of a request nor the time it takes, httptools puts long headers together in quadratic
time, and each header and each chunk of a body calls Python. A protocol and not a server of our own, since each process of `--workers` makes its server itself.

The only file that relies on what uvicorn does not document: the callbacks of `HttpToolsProtocol`, its `cycle`, `pipeline`
and `flow`, and the fields of `RequestResponseCycle`. If a release renames one of them, `tests/cli/test_protocol.py` fails,
and connections end with an error.
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
# What separates name and value of a header, and ends its line.
_HEADER_FRAME_BYTES = len(b": \r\n")

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """Ends the parser's work from within one of its callbacks."""


class StreamingProtocol(HttpToolsProtocol):
    """A connection of a client.

    A head that is too large or too slow is answered with 431 or 408. Requests that wait behind another one are few, and
    the next one begins when the client has taken its answer. What follows a refused request is not read.
    """

    # How long what was sent may stay unacknowledged, or wait for a client that takes nothing. Streams send something
    # every 20 seconds, so a device that lost its network does not count as watching for much longer than one that
    # stopped to beat.
    unacknowledged_milliseconds: ClassVar[int] = int(UNACKNOWLEDGED_SECONDS * 1000)
    head_seconds: ClassVar[float] = HEAD_SECONDS

    # Whether a head is being read, or a body.
    _in_head = False
    _in_body = False
    # What has come since the parser had something to say. Heads, trailers of chunked bodies and extensions of chunks have
    # no end of their own.
    _silent_bytes = 0
    _was_silent = True
    # Headers and trailers of the request that is being read; chunks that the piece being read may still have.
    _fields = 0
    _chunks_left = 0
    # Ends the wait for a head, or for a refused client to hang up.
    _clock: asyncio.TimerHandle | None = None
    # Why the request that is being read cannot be served, and whether a refusal has ended the reading.
    _refusal: AppError | None = None
    _is_refused = False
    # The request that is being answered; uvicorn's own `cycle` is the one that was read last.
    _answered: RequestResponseCycle | None = None
    # Whether an answer is complete here, but not taken by the client.
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
        # uvicorn does so for the request that was read last only; the others would write to a closed transport.
        for cycle in (self._answered, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None:
                _abandon(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        # In pieces, so that what httptools takes of a single header is bounded too.
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
            # uvicorn ends its own clock at the first byte, whatever that is.
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
        # Trailers of a body would become headers of a request that is being served.
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
            # Not answered: the connection is closed behind those that wait.
            raise _Refused
        super().on_headers_complete()
        self._in_body = True
        if not self.pipeline:
            self._answered = self.cycle

    @override
    def on_response_complete(self) -> None:
        if self.flow.write_paused and not self.transport.is_closing():
            # Else a client that takes nothing could have all its answers made.
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
        """Refuse what the parser, or one of its callbacks, could not take (uvicorn's hook)."""
        self._refuse(self._refusal or MalformedRequest(msg))

    @override
    def shutdown(self) -> None:
        # Before the server waits for answers to end: no stream ends by itself. Its client comes back, elsewhere.
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
            # It may be this side that does not read: the clock starts again with the next byte.
            return
        if self._in_head:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _refuse(self, error: AppError) -> None:
        """Answer with an error if it is this request's turn, and close; what still comes is thrown away."""
        self._is_refused = True
        self._stop_clock()
        if self._is_busy and not self.cycle.more_body:
            # Earlier requests are answered first, and then the connection is closed.
            self.cycle.keep_alive = False
            return
        if self._is_busy:
            # The body of the request that was read last is broken.
            is_its_turn = self._answered is self.cycle and not self.cycle.response_started
            _abandon(self.cycle)
            if not is_its_turn:
                self.transport.close()
                return
        if self._is_busy or not self._in_body:
            # Else the request had its answer before the end of its body.
            self.transport.write(_answer(error))
        # Closed at once, with something unread, the connection would be reset and the answer lost.
        self.flow.resume_reading()
        self.transport.write_eof()
        self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _abandon(cycle: RequestResponseCycle) -> None:
    """Have the application see that its client has gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def _answer(error: AppError) -> bytes:
    request_id = new_hex_id()
    log.info("http.refused", status=error.status, code=error.code, request_id=request_id)
    body = orjson.dumps(error.envelope())
    head = (
        f"HTTP/1.1 {error.status} {http.HTTPStatus(error.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
        "connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
