"""What counting costs writers who meet: sixteen sessions create tasks at once, with the triggers of ADR 30 and without.

For one person in one project, for sixteen people in it, and each in a project of their own. Sums are folded meanwhile
as the worker folds them, only more often. Straight through asyncpg: an API process would be slower than the database.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
import uvloop

from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.ids import new_id
from app.runtime import open_process
from app.services.accounts import accounts
from app.services.tasks.counts import fold_counts
from bench.data import Account, fill, make_account
from bench.load import Cost, cpu_seconds
from bench.raw import CREATE
from bench.servers import servers

__all__ = ["rows"]

_SESSIONS: Final = 16
_TASKS: Final = 10_000
_ROUNDS: Final = 6
_SECONDS: Final = 1.0
_FOLD_SECONDS: Final = 0.5
_DESCRIPTION: Final = "Do something about it. " * 10
_COUNTING: Final = "ALTER TABLE tasks {} TRIGGER USER"

# Project and user of a session.
Writer = tuple[int, int]


class Contention:
    """The sessions, and who writes through them."""

    def __init__(
        self, sessions: SessionFactory, connections: Sequence[asyncpg.Connection], pids: Sequence[int]
    ) -> None:
        self._sessions = sessions
        self._connections = connections
        self._pids = pids

    async def compare(self, writers: Sequence[Writer]) -> tuple[Cost, Cost]:
        """Return what creating costs with counting and without, measured in turns."""
        counted, uncounted = Cost(), Cost()
        for _ in range(_ROUNDS):
            await self._write(writers, counted)
            await self._connections[0].execute(_COUNTING.format("DISABLE"))
            await self._write(writers, uncounted)
            await self._connections[0].execute(_COUNTING.format("ENABLE"))
        return counted, uncounted

    async def _write(self, writers: Sequence[Writer], cost: Cost) -> None:
        folding = asyncio.create_task(self._fold())
        before, began = cpu_seconds(self._pids), time.perf_counter()
        lanes = zip(self._connections, itertools.cycle(writers), strict=False)
        await asyncio.gather(*(_lane(connection, writer, cost.latencies) for connection, writer in lanes))
        cost.wall += time.perf_counter() - began
        cost.database_cpu += cpu_seconds(self._pids) - before
        folding.cancel()
        await asyncio.gather(folding, return_exceptions=True)

    async def _fold(self) -> None:
        while True:
            await asyncio.sleep(_FOLD_SECONDS)
            async with unit_of_work(self._sessions) as session:
                await fold_counts(session)


async def _lane(connection: asyncpg.Connection, writer: Writer, latencies: list[float]) -> None:
    deadline = time.perf_counter() + _SECONDS
    while (began := time.perf_counter()) < deadline:
        await connection.fetch(CREATE, new_id(), *writer, "Created", _DESCRIPTION, utcnow())
        latencies.append(time.perf_counter() - began)


async def _projects(sessions: SessionFactory, account: Account) -> list[int]:
    async with unit_of_work(sessions) as session:
        return [
            (
                await accounts.create_project(
                    session, f"Bench {number}", organization_id=account.organization_id
                )
            ).id
            for number in range(_SESSIONS)
        ]


async def _measure(settings: Settings) -> list[tuple[str, ...]]:
    async with open_process(settings, name="bench") as process, AsyncExitStack() as stack:
        connections = []
        for _ in range(_SESSIONS):
            connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
            stack.push_async_callback(connection.close)
            connections.append(connection)
        account = await make_account(process.sessions, connections[0])
        (project,) = await fill(process.sessions, connections[0], account, [_TASKS])
        projects = await _projects(process.sessions, account)
        others = await connections[0].fetch("SELECT id FROM users ORDER BY id LIMIT $1", _SESSIONS)
        users = [row["id"] for row in others]
        pids = [await connection.fetchval("SELECT pg_backend_pid()") for connection in connections]
        contention = Contention(process.sessions, connections, pids)
        lines: list[tuple[str, ...]] = []
        for name, writers in (
            ("for one person", [(project.id, account.user_id)]),
            (f"for {_SESSIONS} people", [(project.id, user) for user in users]),
            (f"in {_SESSIONS} projects", list(zip(projects, users, strict=True))),
        ):
            lines += _lines(f"{_SESSIONS} create {name}", *await contention.compare(writers))
    return lines


def _lines(name: str, counted: Cost, uncounted: Cost) -> Iterator[tuple[str, ...]]:
    for who, cost, ratio in (
        ("counted", counted, f"{counted.database_ms / uncounted.database_ms:.2f}"),
        ("not counted", uncounted, ""),
    ):
        yield (
            name,
            who,
            f"{cost.requests_per_second:.0f}",
            f"{cost.quantile_ms(0.5):.2f}",
            f"{cost.quantile_ms(0.99):.2f}",
            "",
            f"{cost.database_ms:.3f}",
            "",
            ratio,
        )


def rows() -> list[tuple[str, ...]]:
    """Measure, and return the lines for the one table of `make bench`; the ratio is that of the database's time."""
    with servers() as settings:
        return uvloop.run(_measure(settings))
