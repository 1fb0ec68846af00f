"""What a second process adds: API processes under a mix of requests, workers under runs that say one word.

Whoever asks, the database and the agents share the machine with what is measured, so the processor time of each stands
beside the work: where all processors are busy, they are the limit. What else would limit shows once more with each
measured process slowed to a part of a processor, which leaves enough of it to the others. Run it with
`make bench-scaling`.
"""

import itertools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import click
import structlog
import uvloop

from app.config import Settings
from app.devstack.home import Home
from app.runtime import ProcessContext, open_process
from bench.cases import CASES
from bench.data import Account, ProjectOfSize, fill, make_account
from bench.load import send_for
from bench.processes import serving
from bench.processors import (
    CORES,
    Meter,
    descendants,
    own_seconds,
    slowed,
    started_here,
    tree_seconds,
)
from bench.runs import RunBench
from bench.servers import environment_of, servers
from bench.table import render
from bench.workers import asked_here, until, working

_TASKS: Final = 10_000
_CONNECTIONS: Final = 32
_SECONDS: Final = 2.0
_ROUNDS: Final = 4
_RUN_ROUNDS: Final = 2
_WARM_UP_RUNS: Final = 4
_RUNS: Final = 40
_MIX: Final = (
    *("retrieve", "list", "retrieve", "presence", "retrieve"),
    *("create", "retrieve", "list", "update", "presence"),
)
# What a slowed process has of a processor.
_API_SHARE: Final = 0.2
_WORKER_SHARE: Final = 0.15
_WHOLE: Final = 1.0

Lines = list[tuple[str, ...]]


@dataclass(slots=True)
class Work:
    """What was done, how long each piece took, and who used the processors meanwhile."""

    meter: Meter
    done: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """How much was done in a second."""
        return self.done / self.meter.wall

    def lines(self, name: str, alone: "Work | None") -> Lines:
        """Return the lines of the table: the work, held against that of one process, and what others used for it."""
        ordered = sorted(self.latencies)
        quantiles = [
            f"{ordered[int(len(ordered) * share)] * 1000:.2f}" if ordered else "" for share in (0.5, 0.99)
        ]
        each = {who: f"{seconds / self.done * 1000:.3f}" for who, seconds in self.meter.used.items()}
        name = f"{name} ({self.meter.cores_busy:.1f} of {CORES} cores busy)"
        ratio = "" if alone is None else f"{self.per_second / alone.per_second:.2f}"
        work = (f"{self.per_second:.1f}", *quantiles, each.pop("service"), each.pop("database"), "", ratio)
        return [
            (name, "service", *work),
            *((name, who, "", "", "", used, "", "", "") for who, used in each.items()),
        ]


@dataclass(frozen=True, slots=True)
class Shape:
    """Processes that answer together: where they listen, and which they are."""

    name: str
    ports: Sequence[int]
    pids: Sequence[int]


class ApiScaling:
    """One and two API processes, asked in turns by as many connections."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests

    async def lines(self, shapes: Sequence[Shape]) -> Lines:
        """Measure; the first of the shapes is what the others are held against."""
        lines: Lines = []
        for share, told in ((_WHOLE, ""), (_API_SHARE, f", each with {_API_SHARE} of a core")):
            works = {shape.name: self._work(shape) for shape in shapes}
            for _ in range(_ROUNDS):
                for shape in shapes:
                    await self._ask(shape, works[shape.name], share)
            first, *_ = works.values()
            for name, work in works.items():
                lines += work.lines(f"mix, {name}{told}", None if work is first else first)
        return lines

    def _work(self, shape: Shape) -> Work:
        return Work(_meter(lambda: sum(map(own_seconds, shape.pids)), rest="others"))

    async def _ask(self, shape: Shape, work: Work, share: float) -> None:
        with nullcontext() if share == _WHOLE else slowed(shape.pids, share), work.meter.running():
            cost = await send_for(shape.ports, self._requests, connections=_CONNECTIONS, seconds=_SECONDS)
        work.latencies += cost.latencies
        work.done = len(work.latencies)


def _meter(service: Callable[[], float], *, rest: str) -> Meter:
    """Return a meter of what is measured, of the servers, of this process, which asks, and of the rest."""
    postgres, valkey, weed = map(started_here, ("postgres", "valkey-server", "weed"))
    return Meter(
        {
            "service": service,
            "database": lambda: tree_seconds(postgres),
            "Valkey": lambda: tree_seconds(valkey),
            "S3": lambda: tree_seconds(weed),
            "who asks": time.process_time,
        },
        rest=rest,
    )


class WorkerScaling:
    """One and two workers, each time with the same number of runs that say one word, asked for at once."""

    def __init__(self, settings: Settings, folder: Path, bench: RunBench) -> None:
        self._settings = settings
        self._folder = folder
        self._bench = bench
        self._pids: list[int] = []

    async def lines(self) -> Lines:
        """Measure; one worker is what two are held against."""
        works: dict[tuple[float, int], Work] = {}
        for number, workers in itertools.product(range(_RUN_ROUNDS), (1, 2)):
            async with AsyncExitStack() as stack:
                logs = [self._folder / f"worker-{number}-{workers}-{each}.log" for each in range(workers)]
                self._pids = [await stack.enter_async_context(working(self._settings, log)) for log in logs]
                await self._bench.perform(_WARM_UP_RUNS)
                for share in (_WHOLE, _WORKER_SHARE):
                    await self._perform(works.setdefault((share, workers), self._work()), share)
        lines: Lines = []
        for share, workers in itertools.product((_WHOLE, _WORKER_SHARE), (1, 2)):
            told = "" if share == _WHOLE else f", each with {share} of a core"
            name = f"runs, {workers} worker{'s'[: workers - 1]}{told}"
            lines += works[share, workers].lines(name, None if workers == 1 else works[share, 1])
        return lines

    async def _perform(self, work: Work, share: float) -> None:
        with nullcontext() if share == _WHOLE else slowed(self._pids, share), work.meter.running():
            await self._bench.perform(_RUNS)
        work.done += _RUNS

    def _work(self) -> Work:
        # Agents in sandboxes are nobody's children in the end.
        return Work(_meter(lambda: sum(map(own_seconds, self._pids)), rest="agents and others"))


def _mix(account: Account, project: ProjectOfSize) -> Iterator[bytes]:
    """Return what clients do, reads most of all."""
    cases = {case.name: case.requests(account, project) for case in CASES if case.name in _MIX}
    for name in itertools.cycle(_MIX):
        yield next(cases[name]).encode(account.authorization)


async def _shapes(stack: ExitStack, settings: Settings, folder: Path) -> list[Shape]:
    ports = Home(folder).ports(["first", "second", "both"])
    started = {
        name: stack.enter_context(
            serving(
                *("-m", "app.cli", "serve", "--port", str(port), *("--workers", "2")[: 2 * (name == "both")]),
                port=port,
                environment=environment_of(settings),
                ready="/readyz",
                log=folder / f"{name}.log",
            )
        )
        for name, port in ports.items()
    }
    log = folder / "both.log"

    async def both() -> bool:
        return log.read_text().count("Application startup complete") == 2  # noqa: PLR2004 - a small file

    await until(both)
    first, second = started["first"].pid, started["second"].pid
    return [
        Shape("1 API process", [ports["first"]], [first]),
        Shape("2 API processes", [ports["first"], ports["second"]], [first, second]),
        Shape("serve --workers 2", [ports["both"]], descendants(started["both"].pid)),
    ]


async def _measure(settings: Settings, folder: Path) -> Lines:
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    async with open_process(settings, name="bench") as process:
        account = await make_account(process.sessions, connection)
        (project,) = await fill(process.sessions, connection, account, [_TASKS])
        with ExitStack() as stack:
            shapes = await _shapes(stack, settings, folder)
            lines = await ApiScaling(_mix(account, project)).lines(shapes)
        lines += await _runs(process, folder)
    await connection.close()
    return lines


async def _runs(process: ProcessContext, folder: Path) -> Lines:
    async with asked_here(process) as (client, account):
        bench = RunBench(process, client, account, folder / "worker.log")
        return await WorkerScaling(process.settings, folder, bench).lines()


def rows() -> Lines:
    """Measure, and return the lines for the one table of `make bench`."""
    with servers() as settings, tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as folder:
        return uvloop.run(_measure(settings, Path(folder)))


def main() -> None:
    """Measure and print the table."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    click.echo(render(rows()))


if __name__ == "__main__":
    main()
