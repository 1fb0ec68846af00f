"""`make bench`: the cost of each kind of request, beside raw asyncpg, in turns.

Self-contained: PostgreSQL, Valkey and SeaweedFS run in a folder that is removed afterwards.
docs/performance.md explains the figures. For a part: `make bench ARGS="--only retrieve,list --tasks 100000
--seconds 1"`.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg
import click
import structlog
import uvloop

from app.config import Settings
from app.runtime import open_process
from bench import client, diffs, process, push, runs, sweeps, workers
from bench.cases import CASES, Case
from bench.claims import measure_claims
from bench.data import Account, ProjectOfSize, fill, make_account
from bench.first import first_look
from bench.load import Cost, cpu_seconds, send_for
from bench.raw import APPLICATION_NAME
from bench.servers import Running, environment_of, resident_megabytes, servers, serving
from bench.table import render, row

_WARM_UP_SECONDS: Final = 0.5
_MIDDLE_SIZE: Final = 100_000
# Measurements of other things than requests, each with servers of its own.
_APART: Final = {
    "dispatch": runs.rows,
    "push": push.rows,
    "process": process.rows,
    "diffs": diffs.rows,
    "sweeps": sweeps.rows,
    "client": client.rows,
    "workers": workers.rows,
}
# The targets that are compared with `raw`.
_CHECKOUTS: Final = ("service", "before")
_CLAIM: Final = "claim"
_BACKENDS: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `make bench`: which measurements, project sizes, connections, seconds and rounds."""

    only: frozenset[str]
    sizes: list[int]
    connections: int
    seconds: float
    rounds: int
    beside: Path | None


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure: its process, the name of its database sessions, the prefix of its paths.

    `polls`: whether it is sent the tags of the answers that the client has.
    """

    name: str
    running: Running
    sessions: str
    prefix: str = ""
    polls: bool = False


class Bench:
    """The measurements of requests, on servers that are running; each returns rows of the table."""

    def __init__(self, options: Options, connection: asyncpg.Connection, account: Account) -> None:
        self._options = options
        self._connection = connection
        self._account = account

    async def case(self, case: Case, project: ProjectOfSize, targets: list[Target]) -> list[tuple[str, ...]]:
        """Measure one kind of request at every target in turns; return its rows of the table."""
        costs = {target.name: Cost() for target in targets}
        sources = {target.name: self._requests(case, project, target) for target in targets}
        for target in targets:
            await self._send(target, sources[target.name], _WARM_UP_SECONDS)
        ratios: dict[str, list[float]] = {}
        for _ in range(self._options.rounds):
            spent = {
                target.name: await self._send(target, sources[target.name], self._options.seconds)
                for target in targets
            }
            for target_name, cost in spent.items():
                costs[target_name].add(cost)
                ratios.setdefault(target_name, []).append(spent["service"].server_ms / cost.server_ms)
        name = f"{case.name} ({project.size:,})" if case.every_size else case.name
        if len(ratios) > 2:  # noqa: PLR2004 - the service, and what the table does not compare it with
            # Medians of rounds: other work on the machine disturbs single ones.
            compared = [f"{median(ratio):.3f} of {to}" for to, ratio in ratios.items() if to != "service"]
            click.echo(f"{name}: server time {', '.join(compared)}")
        return [
            row(name, target, cost, raw=costs.get("raw") if target in _CHECKOUTS else None)
            for target, cost in costs.items()
        ]

    def _requests(self, case: Case, project: ProjectOfSize, target: Target) -> Iterator[bytes]:
        for wire in case.requests(self._account, project):
            encoded = wire.encode(self._account.authorization)
            yield encoded.replace(b" /", b" " + target.prefix.encode() + b"/", 1)

    async def _send(self, target: Target, requests: Iterator[bytes], seconds: float) -> Cost:
        backends = [pid for (pid,) in await self._connection.fetch(_BACKENDS, target.sessions)]
        server_before, database_before = cpu_seconds([target.running.pid]), cpu_seconds(backends)
        cost = await send_for(
            target.running.port,
            requests,
            connections=self._options.connections,
            seconds=seconds,
            polls=target.polls,
        )
        cost.server_cpu = cpu_seconds([target.running.pid]) - server_before
        cost.database_cpu = cpu_seconds(backends) - database_before
        return cost


async def _measure(options: Options, settings: Settings, folder: Path) -> list[tuple[str, ...]]:
    async with open_process(settings, name="bench") as process:
        connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        account = await make_account(process.sessions)
        projects = await fill(process.sessions, connection, account, options.sizes)
    with ExitStack() as stack:

        def start(
            name: str, *arguments: str, ready: str = "/readyz", checkout: Path | None = None
        ) -> Running:
            environment = environment_of(settings)
            return stack.enter_context(
                serving(
                    name, *arguments, folder=folder, ready=ready, checkout=checkout, environment=environment
                )
            )

        serve = ("-m", "app.cli", "serve", "--port")
        service, raw = start("api", *serve), start("raw", "-m", "bench.raw", ready="/ready")
        before = options.beside and start("before", *serve, checkout=options.beside)
        click.echo(
            f"ready after {service.start_seconds:.2f} s, {resident_megabytes(service.pid):.0f} MB at rest; "
            f"{options.connections} connections\n"
        )
        bench = Bench(options, connection, account)
        rows: list[tuple[str, ...]] = []
        middle = min(projects, key=lambda project: abs(project.size - _MIDDLE_SIZE))
        for case in CASES:
            if options.only and case.group not in options.only:
                continue
            targets = [Target("service", service, "taskbeacon-api", polls=case.polls)]
            if case.polls:
                targets.append(Target("in full", service, "taskbeacon-api"))
            if before:
                targets.append(Target("before", before, "taskbeacon-api", polls=case.polls))
            if case.raw:
                targets.append(Target("raw", raw, APPLICATION_NAME, "/raw", polls=case.polls))
            for project in projects if case.every_size else [middle]:
                rows += await bench.case(case, project, targets)
                if case.is_looked_up:
                    rows += await first_look(service.port, account, project, case)
        click.echo(f"{resident_megabytes(service.pid):.0f} MB afterwards\n")
    if not options.only or _CLAIM in options.only:
        async with open_process(settings, name="bench") as process:
            rows += [
                row(
                    f"{_CLAIM} ({project.size:,})",
                    "worker",
                    await measure_claims(process, connection, project),
                    raw=None,
                )
                for project in projects
            ]
    await connection.close()
    return rows


@click.command()
@click.option(
    "--only",
    default="",
    help="Comma list: retrieve, list, polls, filters, search, create, update, presence, claim, dispatch, push, process, diffs, sweeps, client, workers.",
)
@click.option(
    "--tasks", default="1000,100000,1000000", show_default=True, help="Comma list of sizes of projects."
)
@click.option("--connections", default=16, show_default=True, help="How many requests are under way.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of a round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of each row, targets in turns.")
@click.option(
    "--beside",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout with the same schema, measured in turns as `before`.",
)
def main(only: str, tasks: str, connections: int, seconds: float, rounds: int, beside: Path | None) -> None:
    """Run the measurements of `make bench` and print one table."""
    options = Options(
        only=frozenset(name for name in only.split(",") if name),
        sizes=[int(size) for size in tasks.split(",")],
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        beside=beside,
    )
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows: list[tuple[str, ...]] = []
    if not options.only or options.only & {_CLAIM, *(case.group for case in CASES)}:
        with servers() as (settings, folder):
            rows += uvloop.run(_measure(options, settings, folder))
    for group, measure in _APART.items():
        if not options.only or group in options.only:
            rows += measure()
    click.echo(render(rows))


if __name__ == "__main__":
    main()
