"""Measure the start of runs and the rate of one worker, with real servers and processes: `make bench-runs`.

run       from the answer of POST run to the claim, and from there to the agent's process
claims    in a second, without and with a limit on the project's runs
runs      that say one word, ended in a second by one worker
idle      processor time of a worker that waits
"""

import asyncio
import json
import logging
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import httpx
import structlog
from sqlalchemy import func, select

from app.config import Settings
from app.db import unit_of_work
from app.enums import TERMINAL_STATUSES
from app.main import create_app
from app.models import Run
from app.runtime import ProcessContext, open_process
from bench.data import Account, make_account
from bench.load import cpu_seconds
from bench.servers import environment_of, running, servers
from bench.table import timing

_STARTS: Final = 15
_RUNS: Final = 24
_IDLE_SECONDS: Final = 8.0
_WAIT_SECONDS: Final = 120.0
_TO_CLAIM: Final = "run: answer to claim, median ms"
_TO_SPAWN: Final = "run: claim to agent's process, median ms"
_BARS_MS: Final = {_TO_CLAIM: 5.0, _TO_SPAWN: 30.0}


@asynccontextmanager
async def working(settings: Settings, log: Path, **environment: str) -> AsyncGenerator[int, None]:
    """Run a worker with its own home folder beside its log; yield its process id once it claims runs."""
    variables = {**environment_of(settings), "TASKBEACON_HOME": str(log.with_suffix(".home")), **environment}
    with running("-m", "app.cli", "worker", log=log, environment=variables) as worker:
        await until(lambda: _is_logged(log, "worker.started"))
        yield worker.pid


def first_events(log: Path) -> dict[tuple[str, str], float]:
    """Return the time of the first log entry for each run and event in a worker's log, in Unix seconds.

    An entry that says how many seconds ago its event happened counts from then.
    """
    found: dict[tuple[str, str], float] = {}
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            when = datetime.fromisoformat(entry["timestamp"]).timestamp() - entry.get("seconds_ago", 0)
            found.setdefault((entry.get("run_id", ""), entry["event"]), when)
    return found


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `holds` returns true. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while not await holds():  # noqa: ASYNC110 - rows and logs of other processes give no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asked_here(process: ProcessContext) -> AsyncGenerator[tuple[httpx.AsyncClient, Account], None]:
    """Yield an HTTP client for the API, which runs in this process, and the account that it acts for."""
    account = await make_account(process.sessions)
    transport = httpx.ASGITransport(create_app(process.settings, process=process))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", headers={"Authorization": account.authorization}
    ) as client:
        yield client, account


async def _is_logged(log: Path, event: str) -> bool:
    return event in log.read_text()  # noqa: ASYNC240 - a small local file


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
        async with unit_of_work(self._process.sessions) as session:
            over = select(func.count()).select_from(Run).where(Run.status.in_(TERMINAL_STATUSES))
            return await session.scalar(over) or 0

    async def _ended(self, count: int) -> None:
        async def over() -> bool:
            return await self._count() >= count

        await until(over)


async def _measure(settings: Settings, folder: Path) -> dict[str, float]:
    async with open_process(settings, name="bench") as process, asked_here(process) as (client, account):
        log = folder / "worker.log"
        bench = RunBench(process, client, account, log)
        async with working(settings, log) as worker:
            to_claim, to_spawn = await bench.starts()
            rate = await bench.runs_per_second()
            before = cpu_seconds([worker])
            await asyncio.sleep(_IDLE_SECONDS)
            idle = (cpu_seconds([worker]) - before) / _IDLE_SECONDS * 100
    return {
        _TO_CLAIM: to_claim,
        _TO_SPAWN: to_spawn,
        "runs per second, one worker": rate,
        "idle worker: % of a core": idle,
    }


def rows() -> list[tuple[str, ...]]:
    """Measure the start of runs; return rows of the table of `make bench`."""
    with servers() as (settings, folder):
        found = asyncio.run(_measure(settings, folder))
    return [line for name in _BARS_MS for line in timing(name, found[name])]


def main() -> int:
    """Measure runs and print the figures; return 1 if a bar is missed, else 0."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with servers() as (settings, folder):
        found = asyncio.run(_measure(settings, folder))
    for name, figure in found.items():
        click.echo(f"{name:<42} {figure:8.2f}" + (f"   bar {_BARS_MS[name]:.0f}" if name in _BARS_MS else ""))
    return int(any(found[name] >= bar for name, bar in _BARS_MS.items()))


if __name__ == "__main__":
    sys.exit(main())
