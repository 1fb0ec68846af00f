"""Limits on one connection: data it sends, time it stays open, work it causes; over real sockets."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api_limits import BODY_CHUNK_BYTES, BODY_CHUNKS, HEAD_BYTES, HEAD_FIELDS, PIPELINED_REQUESTS
from app.cli.serving.http_protocol import StreamingProtocol
from tests.support.waiting import eventually
from tests.support.web.serving import serving

pytestmark = pytest.mark.walls

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LARGE = 16 * 2**20


class Protocol(StreamingProtocol):
    """The connections of `taskbeacon serve`, of an application that has no hub."""

    @override
    def shutdown(self) -> None:
        HttpToolsProtocol.shutdown(self)


class Hasty(Protocol):
    """The same, with little patience."""

    # A machine that stands still must not take it from a client that is not slow.
    head_seconds = 1.0


class Application:
    """Answers with `body`; keeps what it was asked, and what it received of its clients."""

    def __init__(self, body: bytes = b"hello") -> None:
        self.body = body
        self.calls: list[Scope] = []
        self.received: list[Message] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls.append(scope)
        if not self.may_answer.is_set():
            waiting = asyncio.create_task(self.may_answer.wait())
            self.received.append(await receive())
            receiving = asyncio.ensure_future(receive())
            await asyncio.wait({waiting, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                self.received.append(receiving.result())
            for task in (waiting, receiving):
                task.cancel()
        length = str(len(self.body)).encode()
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@pytest.fixture
def application() -> Application:
    return Application()


@asynccontextmanager
async def connected(
    application: Application, protocol: type[StreamingProtocol] = Protocol
) -> AsyncGenerator[Streams, None]:
    async with serving(application, protocol) as url, connected_to(url) as streams:
        yield streams


@asynccontextmanager
async def connected_to(url: str) -> AsyncGenerator[Streams, None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port, limit=2**20)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def answers(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the server hangs up."""
    async with asyncio.timeout(120):
        return await reader.read()


def assert_refused(raw: bytes, status: int, code: str) -> None:
    head, _, body = raw.rpartition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first.startswith(f"HTTP/1.1 {status} "), raw[:200]
    assert {"content-type: application/json", "connection: close"} <= set(headers)
    assert any(header.startswith("x-request-id: ") for header in headers)
    answer = orjson.loads(body)
    assert (answer["type"], answer["code"], answer["attr"]) == ("invalid_request", code, None)
    assert list(answer) == ["type", "code", "detail", "attr"]


def padded(size: int) -> bytes:
    """Return a request with a head of this size, as the limit counts."""
    start, end = b"GET / HTTP/1.1\r\nX: ", b"\r\nConnection: close\r\n\r\n"
    return start + b"x" * (size - len(b"/" + b"X: \r\n" + b"Connection: close\r\n")) + end


class TestLargeHeads:
    async def test_head_of_the_limit_is_served(self, application: Application) -> None:
        async with connected(application) as (reader, writer):
            writer.write(padded(HEAD_BYTES))
            assert (await answers(reader)).startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize(
        "pieces",
        [
            [padded(HEAD_BYTES + 1)],
            [b"GET /", b"x" * 4 * HEAD_BYTES],
            [b"GET / HTTP/1.1\r\nX: ", *[b"x" * HEAD_BYTES] * 4],
            [b"GET / HTTP/1.1\r\n", *[b"%d: x\r\n" % number for number in range(40_000)]],
            [b"GET / HTTP/1.1\r\n" + b"x" * 4 * HEAD_BYTES],
        ],
        ids=["one-byte-more", "path", "one-header", "many-headers", "name"],
    )
    async def test_larger_one_is_answered_with_431(
        self, application: Application, pieces: Sequence[bytes]
    ) -> None:
        """A header of 150 MB stopped the API for 20 seconds at a time."""
        async with connected(application) as (reader, writer):
            writer.writelines(pieces)
            assert_refused(await answers(reader), 431, "request_head_too_large")
        assert application.calls == []

    async def test_number_of_headers_is_limited(self, application: Application) -> None:
        """Eight anonymous clients with 64 KiB of tiny headers each took all the time of an API process."""
        async with connected(application) as (reader, writer):
            writer.write(GET[:-2] + b"A: b\r\n" * (HEAD_FIELDS - 1) + b"\r\n")
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
            writer.write(GET[:-2] + b"A: b\r\n" * HEAD_FIELDS + b"\r\n")
            assert_refused(await answers(reader), 431, "request_head_too_large")
        assert len(application.calls) == 1

    async def test_what_comes_after_it_is_neither_read_nor_kept(self, application: Application) -> None:
        """A client that sends all before it reads still gets the answer, not a reset connection."""
        async with connected(application) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(64):
                writer.write(b"x" * 2**20)
                await writer.drain()
            assert_refused(await answers(reader), 431, "request_head_too_large")

    async def test_body_does_not_count(self, application: Application) -> None:
        async with connected(application) as (reader, writer):
            body = b"x" * 3 * HEAD_BYTES
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b%b" % (len(body), body, LAST))
            assert (await answers(reader)).count(b"HTTP/1.1 200 ") == 2

    @pytest.mark.parametrize("piece", [b"A: b\r\n", b"x"], ids=["many", "one"])
    async def test_trailers_of_a_body_count(self, application: Application, piece: bytes) -> None:
        """Trailers were kept as headers, without a bound, and became those of the request."""
        application.may_answer.clear()
        async with connected(application) as (reader, writer):
            writer.write(
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: a\r\n"
            )
            writer.write(piece * (3 * HEAD_BYTES // len(piece)))
            assert_refused(await answers(reader), 431, "request_head_too_large")
        assert [scope["headers"] for scope in application.calls] == [[(b"transfer-encoding", b"chunked")]]

    async def test_extension_of_a_chunk_counts(self, application: Application) -> None:
        application.may_answer.clear()
        async with connected(application) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 3 * HEAD_BYTES)
            assert_refused(await answers(reader), 431, "request_head_too_large")

    async def test_body_of_many_chunks_with_trailers_is_taken(self, application: Application) -> None:
        async with connected(application) as (reader, writer):
            chunks = (b"%x;a=b\r\n%b\r\n" % (BODY_CHUNK_BYTES, b"x" * BODY_CHUNK_BYTES)) * 10_000
            writer.write(
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunks
                + b"0\r\nA: b\r\n\r\n"
                + LAST
            )
            assert (await answers(reader)).count(b"HTTP/1.1 200 ") == 2

    async def test_chunks_of_a_few_bytes_are_refused(self, application: Application) -> None:
        """Eight anonymous clients that sent bodies in chunks of a byte stopped the API for seconds."""
        application.may_answer.clear()
        async with connected(application) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"1\r\nx\r\n" * HEAD_BYTES)
            assert_refused(await answers(reader), 400, "parse_error")
        assert application.received[-1] == {"type": "http.disconnect"}

    async def test_some_small_chunks_are_taken(self, application: Application) -> None:
        async with connected(application) as (reader, writer):
            chunks = b"1\r\nx\r\n" * BODY_CHUNKS + b"0\r\n\r\n"
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + LAST)
            assert (await answers(reader)).count(b"HTTP/1.1 200 ") == 2

    async def test_request_is_answered_once_whatever_its_body_goes_on_with(
        self, application: Application
    ) -> None:
        async with connected(application) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            await reader.readuntil(b"hello")
            writer.write(b"1\r\nx\r\n" * HEAD_BYTES)
            assert await answers(reader) == b""

    async def test_earlier_request_is_answered_first(self, application: Application) -> None:
        application.may_answer.clear()
        async with connected(application) as (reader, writer):
            writer.write(GET + padded(2 * HEAD_BYTES))

            await eventually(lambda: len(application.calls) == 1)
            application.may_answer.set()
            raw = await answers(reader)
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert raw.endswith(b"hello")


class TestSlowHeads:
    async def test_head_that_does_not_end_is_answered_with_408(self, application: Application) -> None:
        """Slow clients: 200 half heads were open after 100 seconds."""
        async with connected(application, Hasty) as (reader, writer):
            writer.write(GET[:-2])
            assert_refused(await answers(reader), 408, "request_timeout")

    async def test_time_runs_on_while_it_trickles(self, application: Application) -> None:
        async with connected(application, Hasty) as (reader, writer):
            reading = asyncio.create_task(answers(reader))
            writer.write(GET[:-2])

            async def trickles() -> bool:
                writer.write(b"A: b\r\n")
                return reading.done()

            await eventually(trickles)
            assert_refused(await reading, 408, "request_timeout")

    @pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"], ids=["nothing", "empty-lines"])
    async def test_client_that_asks_for_nothing_is_closed(
        self, application: Application, sent: bytes
    ) -> None:
        async with connected(application, Hasty) as (reader, writer):
            writer.write(sent)
            assert await answers(reader) == b""

    async def test_further_request_has_its_own_time(self, application: Application) -> None:
        async with connected(application, Hasty) as (reader, writer):
            writer.write(GET)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
            writer.write(GET[:-2])
            assert_refused(await answers(reader), 408, "request_timeout")

    async def test_answer_may_take_longer(self, application: Application) -> None:
        application.may_answer.clear()
        async with connected(application, Hasty) as (reader, writer):
            writer.write(LAST)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * Hasty.head_seconds):
                    await reader.read(1)
            application.may_answer.set()
            assert (await answers(reader)).startswith(b"HTTP/1.1 200 ")


class TestPipelines:
    async def test_few_requests_wait_behind_another(self, application: Application) -> None:
        application.may_answer.clear()
        async with connected(application) as (reader, writer):
            writer.write(GET * 1000)

            await eventually(lambda: len(application.calls) == 1)
            application.may_answer.set()
            raw = await answers(reader)
        assert raw.count(b"HTTP/1.1 200 ") == 1 + PIPELINED_REQUESTS

    async def test_next_answer_is_not_made_before_the_last_one_is_taken(self) -> None:
        """Clients that pipelined requests for large answers and read none held all of them in memory."""
        application = Application(b"x" * LARGE)
        async with connected(application) as (reader, writer):
            writer.write(GET * 4 + LAST)
            await reader.readuntil(b"\r\n\r\n")
            assert len(application.calls) == 1
            raw = await answers(reader)
        assert len(application.calls) == 5
        assert len(raw) > 5 * LARGE

    async def test_client_that_leaves_is_gone_for_the_request_that_is_answered(
        self, application: Application, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Only the last request of a pipeline noticed; the others wrote to a closed transport, with a traceback."""
        application.may_answer.clear()
        async with connected(application) as (_, writer):
            writer.write(GET * 5)

            await eventually(lambda: len(application.received) == 1)
            writer.transport.abort()

            await eventually(lambda: application.received[1:] == [{"type": "http.disconnect"}])
        assert len(application.calls) == 1
        assert [record for record in caplog.records if record.exc_info] == []


async def test_malformed_http_is_answered_with_the_envelope(application: Application) -> None:
    async with connected(application) as (reader, writer):
        writer.write(b"hello\r\n\r\n")
        assert_refused(await answers(reader), 400, "parse_error")


async def test_broken_body_ends_its_request(application: Application) -> None:
    application.may_answer.clear()
    async with connected(application) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

        await eventually(lambda: len(application.calls) == 1)
        writer.write(b"no size\r\n")
        assert_refused(await answers(reader), 400, "parse_error")
    assert application.received[-1] == {"type": "http.disconnect"}
