"""The cost of clients without a key (strangers) for a member: latency alone and beside each kind of stranger.

Strangers have eight connections, and send `--rate` requests and at most 100 MB a second together, from a
process of their own. A member asks for a task again and again over one connection, in turns a second without
and a second beside them. Other members' requests of the same number are the yardstick. Run it with `make
bench-strangers`; it fails if a ratio is above two for longer than a second.
"""

import asyncio
import itertools
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import click
import uvloop

from app.api_limits import BODY_BYTES, HEAD_BYTES
from app.config import Settings
from app.devstack.home import Home
from app.runtime import open_process
from bench.data import fill, make_account
from bench.load import Wire, cpu_seconds, read_answer
from bench.processes import Running, serving
from bench.servers import environment_of, servers

_CONNECTIONS: Final = 8
_BYTES_PER_SECOND: Final = 10**8
_TRICKLING: Final = 200
_TRICKLE_SECONDS: Final = 0.5
_TASKS: Final = 1_000
_MOST: Final = 2.0
_PAUSE_SECONDS: Final = 0.002  # between two requests of the member
_START_SECONDS: Final = 1.0
_SETTLE_SECONDS: Final = 0.2
_MEMBERS: Final = "members"
_TASKS_PATH: Final = "/api/projects/@current/tasks"
_WEBHOOK_PATH: Final = "/webhooks/github"


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: bench", *headers, "", ""]).encode()


def _post(path: str, length: int, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def _unknown_keys() -> Iterator[bytes]:
    for number in itertools.count():
        yield _get(_TASKS_PATH, f"Authorization: Bearer phx_{number:040d}")


_CHUNKED: Final = f"POST {_TASKS_PATH} HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def _signed_wrongly(length: int) -> bytes:
    return _post(_WEBHOOK_PATH, length, f"X-Hub-Signature-256: sha256={'0' * 64}", "X-GitHub-Event: push")


# Whole requests, each sent when the one before it was answered.
_ASKING: Final[dict[str, Iterator[bytes]]] = {
    **{
        path: itertools.repeat(_get(path))
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/nothing", _TASKS_PATH)
    },
    "unknown keys": _unknown_keys(),
    "webhooks of 1 MB": itertools.repeat(_signed_wrongly(10**6) + bytes(10**6)),
    "bodies of 20 MB": itertools.repeat(_post(_TASKS_PATH, BODY_BYTES) + bytes(BODY_BYTES)),
    "20 MB in chunks of a byte": itertools.repeat(_CHUNKED + b"1\r\nx\r\n" * (BODY_BYTES // 6)),
    "2 MB of trailers": itertools.repeat(_CHUNKED + b"0\r\n" + b"X: x\r\n" * 330_000),
    "heads of 64 KB": itertools.repeat(_get("/livez", "X: " + "x" * (HEAD_BYTES - 100))),
    "heads of 2 MB": itertools.repeat(_get("/livez", "X: " + "x" * 2 * 10**6)),
    "2 MB of headers": itertools.repeat(_get("/livez", *["X: x"] * 330_000)),
}
# Beginnings of requests that go on byte by byte, on many connections.
_TRICKLED: Final = {
    "half heads": b"GET /livez HTTP/1.1\r\nX: ",
    "slow bodies": _post(_TASKS_PATH, 10**6, f"Authorization: Bearer phx_{0:040d}"),
    "slow webhooks": _signed_wrongly(10**6),
}
KINDS: Final = (*_ASKING, *_TRICKLED)


async def _ask(port: int, requests: Iterator[bytes], rate: float) -> None:
    """Send requests over all connections until cancelled."""
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(_ask_on_one(port, requests, _CONNECTIONS / rate))


async def _ask_on_one(port: int, requests: Iterator[bytes], pause: float) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        # Connections of refused requests are closed.
        with suppress(OSError, EOFError):
            while not reader.at_eof():
                request = next(requests)
                due = time.perf_counter() + max(pause, len(request) * _CONNECTIONS / _BYTES_PER_SECOND)
                writer.write(request)
                await read_answer(reader)
                await asyncio.sleep(due - time.perf_counter())
        writer.close()


async def _trickle(port: int, beginning: bytes) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(_TRICKLING):
            group.create_task(_trickle_on_one(port, beginning))


async def _trickle_on_one(port: int, beginning: bytes) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(OSError):
            writer.write(beginning)
            while not reader.at_eof():
                writer.write(b"x")
                await asyncio.sleep(_TRICKLE_SECONDS)
        writer.close()


class _Member:
    """A member of the project, who requests a task over one connection again and again."""

    def __init__(self, server: Running, request: bytes) -> None:
        self._server = server
        self._request = request

    async def second(self) -> tuple[float, float]:
        """Send requests for one second; return their median latency in seconds and the server's processor share."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        before, began = cpu_seconds([self._server.pid]), time.perf_counter()
        latencies = list[float]()
        while (sent := time.perf_counter()) < began + 1:
            writer.write(self._request)
            status, _ = await read_answer(reader)
            if status != b"200":
                raise RuntimeError(f"the member was answered {status!r}")
            latencies.append(time.perf_counter() - sent)
            await asyncio.sleep(_PAUSE_SECONDS)
        writer.close()
        share = (cpu_seconds([self._server.pid]) - before) / (time.perf_counter() - began)
        return statistics.median(latencies), share


@asynccontextmanager
async def _strangers(
    kind: str, port: int, rate: float, request: bytes
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start strangers of a kind; the request is what members send."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.strangers", "--be", kind, "--port", str(port), "--rate", str(rate)),
        *("--request", request.decode()),
    )
    try:
        await asyncio.sleep(_START_SECONDS)
        yield process
        if process.returncode is not None:
            raise RuntimeError(f"strangers of the kind '{kind}' ended")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _prepare(settings: Settings) -> bytes:
    """Return the request of a member of a project with tasks."""
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    async with open_process(settings, name="bench") as process:
        account = await make_account(process.sessions, connection)
        project, *_ = await fill(process.sessions, connection, account, [_TASKS])
    await connection.close()
    wire = Wire("GET", f"/api/projects/{project.id}/tasks/{project.task_ids[0]}")
    return wire.encode(account.authorization)


async def _row(kind: str, server: Running, request: bytes, rounds: int, rate: float) -> tuple[str, bool]:
    """Measure seconds without and beside strangers in turns; return a line, and whether the bar holds."""
    member = _Member(server, request)
    alone, beside, shares = list[float](), list[float](), list[float]()
    async with _strangers(kind, server.port, rate, request) as process:
        for _ in range(rounds):
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(_SETTLE_SECONDS)
            alone.append((await member.second())[0])
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(_SETTLE_SECONDS)
            median, share = await member.second()
            beside.append(median)
            shares.append(share)
    ratios = [with_them / without for with_them, without in zip(beside, alone, strict=True)]
    above = _longest(ratio > _MOST for ratio in ratios)
    line = (
        f"{kind:<28} {statistics.median(alone) * 1000:8.2f} {statistics.median(beside) * 1000:9.2f} "
        f"{statistics.median(ratios):6.2f} {above:8} {statistics.median(shares) * 100:8.0f}"
    )
    return line, above <= 1


async def _measure(
    settings: Settings, server: Running, kinds: Sequence[str], rounds: int, rate: float
) -> bool:
    request = await _prepare(settings)
    click.echo(
        f"{'strangers':<28} {'alone ms':>8} {'beside ms':>9} {'ratio':>6} {'above 2':>8} {'server %':>8}"
    )
    holds = True
    for kind in (_MEMBERS, *kinds):
        line, bar_holds = await _row(kind, server, request, rounds, rate)
        click.echo(line)
        holds &= bar_holds or kind == _MEMBERS
    return holds


def _longest(above: Iterable[bool]) -> int:
    """Return the length of the longest sequence of true values."""
    return max((sum(1 for _ in group) for is_above, group in itertools.groupby(above) if is_above), default=0)


@click.command()
@click.option("--only", default="", help="Kinds of strangers, separated by commas.")
@click.option(
    "--rounds", default=5, show_default=True, help="Of one second without and one beside each kind."
)
@click.option("--rate", default=200.0, show_default=True, help="Requests a second, all connections together.")
@click.option("--be", type=click.Choice((_MEMBERS, *KINDS)), hidden=True)
@click.option("--port", type=int, hidden=True)
@click.option("--request", hidden=True)
def main(only: str, rounds: int, rate: float, be: str | None, port: int, request: str) -> None:
    """Measure a member's requests beside strangers and print ratios; with `--be`, act as the strangers."""
    if be in _TRICKLED:
        uvloop.run(_trickle(port, _TRICKLED[be]))
    elif be:
        requests = itertools.repeat(request.encode()) if be == _MEMBERS else _ASKING[be]
        uvloop.run(_ask(port, requests, rate))
    else:
        kinds = only.split(",") if only else list(KINDS)
        with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
            port = Home(Path(folder)).ports(["api"])["api"]
            with serving(
                *("-m", "app.cli", "serve", "--port", str(port)),
                port=port,
                environment=environment_of(settings) | {"TASKBEACON_GITHUB_WEBHOOK_SECRET": "bench"},
                ready="/readyz",
                log=Path(folder) / "api.log",
            ) as server:
                holds = uvloop.run(_measure(settings, server, kinds, rounds, rate))
        sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
