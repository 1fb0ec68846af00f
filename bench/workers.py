"""Time of a run with one, two and three workers: what a further worker costs and brings (docs/operating/scaling.md).

Each worker gets as many runs of an agent that mostly waits, so that the time of its slots is used and not processors.
Counted are API, workers with all that their runs start, PostgreSQL and Valkey. A busier machine is slower by itself,
since its caches are shared: each figure stands beside one worker alone, and beside one worker and as many strangers as
there are further workers. `make bench ARGS="--only workers"`.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from sqlalchemy import func, select

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES
from app.models import Run
from app.runtime import open_process
from bench.data import Account, make_account
from bench.runs import working
from bench.servers import environment_of, servers, serving
from bench.table import timing

_WORKERS: Final = (1, 2, 3)
_ROUNDS: Final = 3
_SLOTS: Final = 4
# Of each worker, in a round.
_RUNS: Final = 8
_PROMPT: Final = "```sh\nsleep 5\n```"
_LOOK_SECONDS: Final = 0.2
_WAIT_SECONDS: Final = 300.0
# A process with as much work as a worker, which shares nothing with it but the machine.
_STRANGER: Final = """
import json, time
rows = [{"number": n, "text": str(n) * 5, "list": [n] * 5} for n in range(3000)]
while True:
    began = time.process_time()
    while time.process_time() - began < 0.003:
        json.loads(json.dumps(rows[:200]))
    time.sleep(0.007)
"""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the name: the parent; user and system time, its own and of children that ended.
_PARENT, _TIMES = 1, slice(11, 15)


def _seconds() -> float:
    """Return the processor time in seconds of all processes that this one has started, but those left out."""
    stats = dict(_stats())
    counted, news = set[int](), {os.getpid()}
    while news:
        news = {
            pid for pid, fields in stats.items() if int(fields[_PARENT]) in news and not _is_left_out(pid)
        }
        counted |= news
    return sum(sum(map(int, stats[pid][_TIMES])) for pid in counted) / _TICKS


def _is_left_out(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"weed" in command.partition(b"\0")[0] or _STRANGER.encode() in command


@contextmanager
def _strangers(count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", _STRANGER]))  # noqa: S603 - constants
            stack.callback(process.kill)
        yield


def _stats() -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        yield int(folder.name), text.rpartition(")")[2].split()


class _Load:
    def __init__(self, sessions: SessionFactory, client: httpx.AsyncClient, account: Account) -> None:
        self._sessions = sessions
        self._client = client
        self._tasks = f"/api/projects/{account.project_id}/tasks"

    async def perform(self, count: int) -> None:
        """Start runs at once, and wait until they have ended."""
        before = await self._ended()
        for _ in range(count):
            task = await self._client.post(self._tasks, json={"description": _PROMPT})
            url = f"{self._tasks}/{task.raise_for_status().json()['id']}/run"
            (await self._client.post(url, json={})).raise_for_status()
        async with asyncio.timeout(_WAIT_SECONDS):
            while await self._ended() < before + count:  # noqa: ASYNC110 - rows of other processes give no event
                await asyncio.sleep(_LOOK_SECONDS)

    async def _ended(self) -> int:
        async with unit_of_work(self._sessions) as session:
            over = select(func.count()).select_from(Run).where(Run.status.in_(TERMINAL_STATUSES))
            return await session.scalar(over) or 0


@asynccontextmanager
async def _loading(settings: Settings, folder: Path) -> AsyncGenerator[_Load, None]:
    serve = ("-m", "app.cli", "serve", "--port")
    with serving("api", *serve, folder=folder, ready="/readyz", environment=environment_of(settings)) as api:
        async with open_process(settings, name="bench") as process:
            account = await make_account(process.sessions)
            base_url, headers = f"http://127.0.0.1:{api.port}", {"Authorization": account.authorization}
            async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as client:
                yield _Load(process.sessions, client, account)


@dataclass(frozen=True)
class _Spent:
    """What a run took: processor time, and its part of the time of all."""

    processor: float
    elapsed: float


async def _measure(settings: Settings, folder: Path) -> dict[tuple[int, int], _Spent]:
    """Return what a run took, in milliseconds, by the workers and the strangers beside them."""
    spent: dict[tuple[int, int], list[_Spent]] = {
        case: [] for count in _WORKERS for case in ((1, count - 1), (count, 0))
    }
    async with _loading(settings, folder) as load:
        for turn in range(_ROUNDS):
            for (count, strangers), found in spent.items():
                async with AsyncExitStack() as stack:
                    stack.enter_context(_strangers(strangers))
                    for number in range(count):
                        log = folder / f"worker-{turn}-{count}-{strangers}-{number}.log"
                        slots = {"TASKBEACON_WORKER_CONCURRENCY": str(_SLOTS)}
                        await stack.enter_async_context(working(settings, log, **slots))
                    # The first runs of a process load what they need.
                    await load.perform(_SLOTS * count)
                    before, began = _seconds(), time.monotonic()
                    await load.perform(_RUNS * count)
                    each = 1000 / (_RUNS * count)
                    found.append(_Spent((_seconds() - before) * each, (time.monotonic() - began) * each))
    return {
        case: _Spent(median(one.processor for one in found), median(one.elapsed for one in found))
        for case, found in spent.items()
    }


def rows() -> list[tuple[str, ...]]:
    """Measure what a run takes with one, two and three workers; return rows of the table."""
    with servers() as (settings, folder):
        found = asyncio.run(_measure(settings, folder))
    alone = found[1, 0]
    lines: list[tuple[str, ...]] = []
    for count in _WORKERS[1:]:
        this, name = found[count, 0], f"run, with {count} workers"
        lines += timing(f"{name}: processor", this.processor, reference=alone.processor, referee="one worker")
        beside = found[1, count - 1].processor
        lines += timing(f"{name}: processor", this.processor, reference=beside, referee="one and strangers")
        lines += timing(f"{name}: elapsed", this.elapsed, reference=alone.elapsed, referee="one worker")
    return lines
