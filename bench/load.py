"""Send requests over a fixed number of kept connections, and measure their cost for the server's processes.

Processor time is read from the kernel, so that other work on the machine does not count.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_HEADER_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_TAG: Final = b"etag:"
# Of the status: 304 is one too.
_SUCCESS: Final = b"23"


@dataclass(frozen=True, slots=True)
class Wire:
    """An HTTP request to measure: method, path and body."""

    method: str
    path: str
    body: bytes = b""

    def encode(self, authorization: str) -> bytes:
        """Return the bytes of the HTTP request, with this `Authorization` header."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: bench", f"Authorization: {authorization}"]
        if self.method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(slots=True)
class Cost:
    """The cost of many requests in seconds: latencies, time, processor time of the server and the database."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    server_cpu: float = 0.0
    database_cpu: float = 0.0

    @property
    def requests_per_second(self) -> float:
        """The number of responses per second, over all connections."""
        return len(self.latencies) / self.seconds

    @property
    def server_ms(self) -> float:
        """Processor time of the server per request, in milliseconds."""
        return self.server_cpu / len(self.latencies) * 1000

    @property
    def database_ms(self) -> float:
        """Processor time of the database's sessions per request, in milliseconds."""
        return self.database_cpu / len(self.latencies) * 1000

    def add(self, part: "Cost") -> None:
        """Add the cost of another round of requests."""
        self.latencies += part.latencies
        self.seconds += part.seconds
        self.server_cpu += part.server_cpu
        self.database_cpu += part.database_cpu

    def quantile_ms(self, share: float) -> float:
        """Return a quantile of the latencies in milliseconds: `share` (0 to 1) of the requests took less."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that the living threads of the processes have used, in seconds."""
    return sum(
        int(statistics.read_text(encoding="ascii").split()[0]) / 1e9
        for pid in pids
        for statistics in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


async def send_for(
    port: int, requests: Iterator[bytes], *, connections: int, seconds: float, polls: bool = False
) -> Cost:
    """Send requests one after the other on each connection for `seconds`; return their cost.

    With `polls`, the tag of an answer is sent along when its request is repeated. Raises RuntimeError on a response
    that is no success.
    """
    deadline = time.perf_counter() + seconds
    latencies: list[float] = []
    tagged: dict[bytes, bytes] = {}

    async def lane() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        try:
            while time.perf_counter() < deadline:
                request = next(requests)
                began = time.perf_counter()
                writer.write(tagged.get(request, request))
                status, tag, body = await read_answer(reader)
                if polls:
                    tagged[request] = request.replace(_HEADER_END, b"\r\nIf-None-Match: %b\r\n\r\n" % tag, 1)
                if status[:1] not in _SUCCESS:
                    raise RuntimeError(f"{request[:200]!r} was answered {status!r} {body[:300]!r}")
                latencies.append(time.perf_counter() - began)
        finally:
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(connections)))
    return Cost(latencies, seconds=time.perf_counter() - began)


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Return the status, the tag and the body of an HTTP response with a `Content-Length` or without a body."""
    head = await reader.readuntil(_HEADER_END)
    length, tag = 0, b""
    for line in head.split(b"\r\n"):
        if line[: len(_LENGTH)].lower() == _LENGTH:
            length = int(line[len(_LENGTH) :])
        elif line[: len(_TAG)].lower() == _TAG:
            tag = line[len(_TAG) :].strip()
    return head.split(b" ", 2)[1], tag, await reader.readexactly(length)
