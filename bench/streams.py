"""How soon followers hear of an event, and what they cost: real HTTP, real Redis, the API as a process of its own.

Latency is from the moment an event is handed to the publisher to its bytes at a client, and from an `append_log`
request to the same. Cost is the growth of the API's memory with 500 followers, and the time to the last of them. The
floor to compare with is Redis itself: a message through publish and subscribe in this process.
"""

import asyncio
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import orjson
import structlog

from app.clients.redis import RedisClient
from app.clients.run_event_publisher import RedisRunEvents
from app.config import Settings
from app.db import unit_of_work
from app.runtime import ProcessContext, open_process
from app.services.accounts import accounts, api_keys
from bench.servers import servers
from bench.table import timing

_FOLLOWERS: Final = 500
_EVENTS: Final = 200
_APPENDS: Final = 30
_ROUNDS: Final = 5
_MEDIAN_BAR_MS: Final = 3.0
_MEMORY_BAR_KB: Final = 40.0
_WAIT_SECONDS: Final = 60


class _Follower:
    """A client that reads as little as it can: a socket and the marks of the events in what it brings."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def until(self, mark: bytes) -> float:
        """Return when the bytes of the event with this mark have come."""
        seen = b""
        async with asyncio.timeout(_WAIT_SECONDS):
            while mark not in seen:
                block = await self._reader.read(65536)
                assert block, "the stream ended"
                seen = seen[-len(mark) :] + block
        return time.perf_counter()


@asynccontextmanager
async def _following(port: int, path: str, key: str) -> AsyncGenerator[_Follower, None]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path}/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    follower = _Follower(reader, writer)
    # The first event of the run: from here on nothing is missed.
    await follower.until(b"task_run_state")
    try:
        yield follower
    finally:
        writer.close()


@asynccontextmanager
async def _api(settings: Settings) -> AsyncGenerator[tuple[int, int], None]:
    """Run the API as a process; yield its port and its id."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    names = (
        "database_url",
        "redis_url",
        "s3_endpoint_url",
        "s3_access_key_id",
        "s3_bucket",
        "s3_region",
    )
    assert settings.s3_secret_access_key is not None
    environment = {
        **os.environ,
        **{f"TASKBEACON_{name.upper()}": str(getattr(settings, name)) for name in names},
        "TASKBEACON_S3_SECRET_ACCESS_KEY": settings.s3_secret_access_key.get_secret_value(),
        "TASKBEACON_DEVELOPMENT": "true",
        "TASKBEACON_THROTTLE_PER_MINUTE": "0",
        "TASKBEACON_THROTTLE_PER_HOUR": "0",
        "TASKBEACON_LOG_LEVEL": "ERROR",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "serve",
        "--port",
        str(port),
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
            asyncio.timeout(_WAIT_SECONDS),
        ):
            while not await _is_ready(client):  # noqa: ASYNC110 - another process tells nothing
                await asyncio.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False


def _memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


async def _straight(redis: RedisClient) -> float:
    """Return the median of a message through Redis alone, in milliseconds."""
    times: list[float] = []
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe("bench")
        await subscription.get_message(timeout=1)
        for _ in range(_EVENTS):
            started = time.perf_counter()
            await redis.publish("bench", b"x" * 100)
            while await subscription.get_message(timeout=1) is None:
                pass
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def _latency(events: RedisRunEvents, run_id: UUID, follower: _Follower) -> float:
    times: list[float] = []
    for number in range(_EVENTS):
        mark = f"<{number}>"
        started = time.perf_counter()
        events.put(run_id, orjson.dumps({"type": "notification", "mark": mark}))
        times.append(await follower.until(mark.encode()) - started)
    return statistics.median(times) * 1000


async def _append_latency(port: int, path: str, key: str, follower: _Follower) -> tuple[float, float]:
    """Return the medians of a request that adds to the log: to its answer, and to the event at a follower.

    By a client that does as little as it can, over one connection.
    """
    told: list[float] = []
    answered: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(_APPENDS):
        mark = f"<a{number}>"
        body = orjson.dumps({"entries": [{"mark": mark}]})
        started = time.perf_counter()
        hearing = asyncio.create_task(follower.until(mark.encode()))
        writer.write(
            f"POST {path}/append_log HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        _, _, length = head.lower().partition(b"content-length: ")
        await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
        answered.append(time.perf_counter() - started)
        told.append(await hearing - started)
    writer.close()
    return statistics.median(answered) * 1000, statistics.median(told) * 1000


async def _crowd(
    port: int, pid: int, path: str, key: str, events: RedisRunEvents, run_id: UUID
) -> tuple[float, float]:
    """Return what each of many followers costs, in kB, and the best time to the last of them, in milliseconds."""
    async with AsyncExitStack() as stack:
        # What the first ones cost once only.
        first = [await stack.enter_async_context(_following(port, path, key)) for _ in range(20)]
        before = _memory_kb(pid)
        others = [await stack.enter_async_context(_following(port, path, key)) for _ in range(_FOLLOWERS)]
        each = (_memory_kb(pid) - before) / _FOLLOWERS
        last: list[float] = []
        for number in range(_ROUNDS):
            mark = f"<c{number}>".encode()
            hearing = [asyncio.create_task(follower.until(mark)) for follower in first + others]
            await asyncio.sleep(0)
            started = time.perf_counter()
            events.put(run_id, b'{"mark":"%b"}' % mark)
            last.append(max(await asyncio.gather(*hearing)) - started)
    return each, min(last) * 1000


async def _measure(process: ProcessContext, port: int, pid: int) -> dict[str, float]:
    async with unit_of_work(process.sessions) as session:
        organization = await accounts.create_organization(session, "Bench")
        project = await accounts.create_project(session, "Bench", organization_id=organization.id)
        user = await accounts.create_user(session, "bench@example.com", project_ids=[project.id])
        key = (await api_keys.create_api_key(session, user_id=user.id, scopes=["*"])).value
    tasks = f"/api/projects/{project.id}/tasks"
    events = RedisRunEvents(process.redis)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=_WAIT_SECONDS
    ) as client:
        task = (await client.post(tasks, json={"title": "Bench"})).json()["id"]
        run = (await client.post(f"{tasks}/{task}/runs")).json()["id"]
        path, run_id = f"{tasks}/{task}/runs/{run}", UUID(run)
        straight = await _straight(process.redis)
        async with _following(port, path, key) as follower:
            await _latency(events, run_id, follower)
            latency = await _latency(events, run_id, follower)
            answered, appended = await _append_latency(port, path, key, follower)
        # Another run, whose history does not count.
        run = (await client.post(f"{tasks}/{task}/runs")).json()["id"]
        each, last = await _crowd(port, pid, f"{tasks}/{task}/runs/{run}", key, events, UUID(run))
    await events.aclose()
    return {
        "redis_alone_ms": straight,
        "event_to_client_ms": latency,
        "append_log_answer_ms": answered,
        "append_log_to_client_ms": appended,
        "follower_kb": each,
        "last_follower_ms": last,
    }


async def _run(settings: Settings) -> dict[str, Any]:
    async with open_process(settings, name="bench") as process, _api(settings) as (port, pid):
        measured = await _measure(process, port, pid)
    return {
        **{name: round(value, 2) for name, value in measured.items()},
        "ratio_to_redis_alone": round(measured["event_to_client_ms"] / measured["redis_alone_ms"], 2),
        "followers": _FOLLOWERS,
        "bar": f"median below {_MEDIAN_BAR_MS} ms, at most {_MEMORY_BAR_KB} kB for each follower",
        "ok": max(measured["event_to_client_ms"], measured["append_log_to_client_ms"]) < _MEDIAN_BAR_MS
        and measured["follower_kb"] <= _MEMORY_BAR_KB,
    }


def rows() -> list[tuple[str, ...]]:
    """Measure, and return the lines for the one table of `make bench`."""
    with servers() as settings:
        result = asyncio.run(_run(settings))
    return [
        *timing(
            "event to a client that follows",
            result["event_to_client_ms"],
            reference=result["redis_alone_ms"],
            referee="Redis alone",
        ),
        *timing(f"event to the last of {_FOLLOWERS}", result["last_follower_ms"]),
        *timing("append_log", result["append_log_answer_ms"]),
        *timing("append_log to a client that follows", result["append_log_to_client_ms"]),
    ]


def main() -> int:
    """Measure, print one JSON object, and return an exit status."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with servers() as settings:
        result = asyncio.run(_run(settings))
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
