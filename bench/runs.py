"""Measure the start of runs, the rate of one worker, and the cost of a waiting worker, beside plain arq.

    queue     from `enqueue` to the job's first line: our worker and plain arq in turns, each idle
    run       from the answer of POST run to the claim, and from there to the agent's process: the real worker
    claims    in a second, without and with a limit on the project's runs
    runs      that say one word, ended in a second by one worker
    idle      processor time of both workers side by side, with nothing and with fifty jobs in progress

All with real servers and processes. Run it with `make bench-runs`.
"""

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import click
import httpx
import structlog
from arq.connections import ArqRedis
from sqlalchemy import delete, func, select

from app.clients.queue import ArqQueue, encode_job
from app.clients.redis import create_pool, create_redis
from app.clients.run_events import RunEvents
from app.config import Settings
from app.db import unit_of_work
from app.enums import TERMINAL_STATUSES, Environment
from app.models import Run
from app.runtime import ProcessContext, open_process
from app.services.runs import lifecycle as run_lifecycle
from bench.load import cpu_seconds
from bench.polling_worker import LATENCIES, QUEUES
from bench.servers import servers
from bench.table import timing
from bench.workers import Account, asked_here, first_events, running, until, working

_JOBS: Final = 20
_STARTS: Final = 15
_CLAIMS: Final = 200
_RUNS: Final = 24
_IN_PROGRESS: Final = 50
_IDLE_SECONDS: Final = 8.0
_MOST_TO_CLAIM_MS: Final = 5.0
_MOST_TO_SPAWN_MS: Final = 30.0

Row = tuple[str, str, str, str]


class QueueBench:
    """A comparison of plain arq with the service's worker, each in its own process with its own queue."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._redis = create_redis(settings.redis_url)
        self._ours = ArqQueue(settings.redis_url)
        self._plain = ArqRedis(connection_pool=create_pool(settings.redis_url), job_serializer=encode_job)
        self._jobs = 0

    async def rows(self) -> list[Row]:
        """Measure the latency of a job and the cost of an idle worker; return a row of the table for each."""
        with (
            running(
                "-m", "bench.polling_worker", "arq", settings=self._settings, log=self._folder / "arq.log"
            ) as plain,
            running(
                "-m", "bench.polling_worker", "ours", settings=self._settings, log=self._folder / "ours.log"
            ) as ours,
        ):
            for who in QUEUES:
                await self._ask(who, "note", sent=time.time())
                await self._arrived(who, 1)
                await self._redis.delete(LATENCIES[who])
            latencies = await self._latencies()
            rows = [_compared("queue: enqueue to first line, ms", latencies["ours"], latencies["arq"])]
            rows.append(await self._idle("idle, nothing in progress: CPU, %", ours, plain))
            for who in QUEUES:
                for _ in range(_IN_PROGRESS):
                    await self._ask(who, "hold")
            await asyncio.sleep(1)
            rows.append(await self._idle(f"idle, {_IN_PROGRESS} in progress: CPU, %", ours, plain))
        return rows

    async def _latencies(self) -> dict[str, float]:
        for number in range(_JOBS):
            for who in QUEUES:
                # At any moment of arq's half second.
                await asyncio.sleep(0.13)
                await self._ask(who, "note", sent=time.time())
                await self._arrived(who, number + 1)
        found = {}
        for who, key in LATENCIES.items():
            values = [
                float(value) for value in await cast("Awaitable[list[bytes]]", self._redis.lrange(key, 0, -1))
            ]
            found[who] = statistics.median(values) * 1000
        return found

    async def _ask(self, who: str, job: str, **arguments: Any) -> None:
        self._jobs += 1
        job_id = f"{job}:{self._jobs}"
        if who == "ours":
            await self._ours.enqueue(job, job_id=job_id, arguments=arguments, queue_name=QUEUES[who])
        else:
            await self._plain.enqueue_job(job, _job_id=job_id, _queue_name=QUEUES[who], **arguments)

    async def _arrived(self, who: str, count: int) -> None:
        async def there() -> bool:
            return await cast("Awaitable[int]", self._redis.llen(LATENCIES[who])) >= count

        await until(there)

    async def _idle(self, what: str, ours: int, plain: int) -> Row:
        before = cpu_seconds([ours]), cpu_seconds([plain])
        await asyncio.sleep(_IDLE_SECONDS)
        after = cpu_seconds([ours]), cpu_seconds([plain])
        share = [(now - then) / _IDLE_SECONDS * 100 for now, then in zip(after, before, strict=True)]
        return _compared(what, share[0], share[1])


class RunBench:
    """Measurements of runs that are started through the real API and performed by a real worker."""

    def __init__(
        self, process: ProcessContext, client: httpx.AsyncClient, account: Account, log: Path
    ) -> None:
        self._process = process
        self._client = client
        self._project_id = account.project_id
        self._log = log

    async def starts(self) -> tuple[float, float]:
        """Return medians in ms: from the response of POST run to the claim, and from there to the agent's start."""
        answered: dict[str, float] = {}
        for _ in range(_STARTS):
            run_id = await self._start()
            answered[run_id] = time.time()
            await self._ended(len(answered))
        events = first_events(self._log)
        claimed = {run: events[run, "run.status_changed"] for run in answered}
        spawned = {run: events[run, "run.agent_spawned"] for run in answered}
        return (
            statistics.median(claimed[run] - answered[run] for run in answered) * 1000,
            statistics.median(spawned[run] - claimed[run] for run in answered) * 1000,
        )

    async def runs_per_second(self) -> float:
        """Return the number of runs per second that one worker ends when many are started at once."""
        before, began = await self._count(), time.perf_counter()
        for _ in range(_RUNS):
            await self._start()
        await self._ended(before + _RUNS)
        return _RUNS / (time.perf_counter() - began)

    async def claims_per_second(self, *, limit: int) -> float:
        """Return the number of runs claimed per second, with at most `limit` running in the project (0: any).

        The runs are deleted afterwards. No worker may look at the queue meanwhile.
        """
        async with unit_of_work(self._process.sessions) as session:
            ids = [await self._open_run(session, self._process.events) for _ in range(_CLAIMS)]
        began = time.perf_counter()
        for run_id in ids:
            async with unit_of_work(self._process.sessions) as session:
                claimed = await run_lifecycle.claim(
                    session, run_id, owner="bench", events=self._process.events, limit=limit
                )
                assert claimed is not None
        rate = _CLAIMS / (time.perf_counter() - began)
        async with unit_of_work(self._process.sessions) as session:
            await session.execute(delete(Run).where(Run.id.in_(ids)))
        return rate

    async def _open_run(self, session: Any, events: RunEvents) -> UUID:
        task = await self._client.post(self._url, json={"title": "Bench"})
        return await run_lifecycle.open_run(
            session,
            run_lifecycle.NewRun(
                task_id=UUID(task.raise_for_status().json()["id"]),
                project_id=self._project_id,
                environment=Environment.CLOUD,
                state={"mode": "background"},
            ),
            dispatch=True,
            events=events,
        )

    @property
    def _url(self) -> str:
        return f"/api/projects/{self._project_id}/tasks"

    async def _start(self) -> str:
        task = await self._client.post(self._url, json={"description": "```say\nhi\n```"})
        url = f"{self._url}/{task.raise_for_status().json()['id']}/run"
        answer = await self._client.post(url, json={})
        run_id: str = answer.raise_for_status().json()["latest_run"]["id"]
        return run_id

    async def _count(self) -> int:
        async with self._process.sessions() as session:
            over = select(func.count()).select_from(Run).where(Run.status.in_(TERMINAL_STATUSES))
            return await session.scalar(over) or 0

    async def _ended(self, count: int) -> None:
        async def over() -> bool:
            return await self._count() >= count

        await until(over)


def _compared(what: str, ours: float, plain: float) -> Row:
    return what, f"{ours:.2f}", f"{plain:.2f}", f"{ours / plain:.3f}" if plain else ""


def _render(rows: Sequence[Row]) -> str:
    lines = [("what", "service", "compared with", "ratio"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


async def _measure(settings: Settings, folder: Path) -> bool:
    rows = await QueueBench(settings, folder).rows()
    async with open_process(settings, name="bench") as process, asked_here(process) as (client, account):
        log = folder / "worker.log"
        bench = RunBench(process, client, account, log)
        free = await bench.claims_per_second(limit=0)
        limited = await bench.claims_per_second(limit=10**6)
        async with working(settings, log):
            to_claim, to_spawn = await bench.starts()
            rate = await bench.runs_per_second()
    rows += [
        ("run: answer to claim, median ms", f"{to_claim:.2f}", f"bar {_MOST_TO_CLAIM_MS:.0f}", ""),
        ("run: claim to agent's process, median ms", f"{to_spawn:.2f}", f"bar {_MOST_TO_SPAWN_MS:.0f}", ""),
        _compared("claims per second, limited and not", limited, free),
        ("runs per second, one worker", f"{rate:.2f}", "", ""),
    ]
    click.echo(_render(rows))
    return to_claim < _MOST_TO_CLAIM_MS and to_spawn < _MOST_TO_SPAWN_MS


def rows() -> list[tuple[str, ...]]:
    """Measure the latency from queue to start of jobs and runs; return rows of the table of `make bench`."""
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        return asyncio.run(_starts(settings, Path(folder)))


async def _starts(settings: Settings, folder: Path) -> list[tuple[str, ...]]:
    _, ours, plain, _ = (await QueueBench(settings, folder).rows())[0]
    async with open_process(settings, name="bench") as process, asked_here(process) as (client, account):
        log = folder / "worker.log"
        bench = RunBench(process, client, account, log)
        async with working(settings, log):
            to_claim, to_spawn = await bench.starts()
    return [
        *timing("job to its first line", float(ours), reference=float(plain), referee="plain arq"),
        *timing("run to its claim", to_claim),
        *timing("run's claim to its agent's process", to_spawn),
    ]


def main() -> int:
    """Measure jobs, runs and idle workers and print one table; return 1 if a bar is missed, else 0."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        holds = asyncio.run(_measure(settings, Path(folder)))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
