"""`make bench-indexes`: what each index of tasks costs a write, and what counting does.

An index is dropped, rows are written, and both are rolled back, in turns with the same writes beside all indexes. What
counts is the processor time of the database's session and the bytes that it logs, so that other work on the machine
does not show. Each figure is the median of the differences between neighbours in time; half of the differences are
within what stands behind it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg
import click
import structlog
import uvloop

from app.config import Settings
from app.runtime import open_process
from bench.data import fill, make_account
from bench.load import cpu_seconds
from bench.servers import servers

_ROWS: Final = 500
_SEARCH: Final = "ix_tasks_search"
_INDEXES: Final = """
SELECT indexrelname AS name, pg_relation_size(indexrelid) AS size FROM pg_stat_user_indexes
WHERE relname = 'tasks' AND starts_with(indexrelname, 'ix_') ORDER BY indexrelname
"""
_INSERT: Final = """
INSERT INTO tasks (id, project_id, created_by_id, title, title_manually_set, description, origin_product, repository,
    internal, archived, created_at, updated_at)
SELECT gen_random_uuid(), $1, $2, 'Task ' || md5(random()::text), true,
    repeat('What the agent is asked to do, in a few plain sentences. ', 6) || md5(random()::text), 'user_created',
    'org' || i % 40 || '/repo' || i % 400, false, false, now(), now()
FROM generate_series(1, $3::int) i
"""
_CHANGE: Final = """
UPDATE tasks SET latest_run_status = CASE latest_run_status WHEN 'queued' THEN 'in_progress' ELSE 'queued' END
WHERE id = ANY($1)
"""
_CHANGED: Final = """
SELECT id FROM tasks WHERE project_id = $1 AND created_by_id = $2 ORDER BY md5(id::text) LIMIT $3
"""
_NO_COUNTING: Final = "ALTER TABLE tasks DISABLE TRIGGER USER"
_WAL: Final = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


@dataclass(frozen=True, slots=True)
class What:
    """What a write is measured with and without."""

    name: str
    megabytes: str
    without: str


@dataclass(slots=True)
class Difference:
    """How much more a row costs with it, by time and by bytes, in each round."""

    microseconds: list[float] = field(default_factory=list)
    wal_bytes: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        cost, around = statistics.median(self.microseconds), statistics.quantiles(self.microseconds)
        share = cost / statistics.median(self.whole)
        return [
            f"{cost:.1f} ± {(around[2] - around[0]) / 2:.1f}",
            f"{share:.0%}",
            f"{statistics.median(self.wal_bytes):.0f}",
        ]


class Writes:
    """Performs writes that leave nothing, on one session whose processor time is read."""

    def __init__(
        self, connection: asyncpg.Connection, pid: int, caller: tuple[int, int], changed: list[UUID]
    ) -> None:
        self._connection = connection
        self._pid = pid
        # Each with its arguments for one row and for many.
        self._kinds: Sequence[tuple[str, Sequence[object], Sequence[object]]] = (
            (_INSERT, (*caller, 1), (*caller, _ROWS)),
            (_CHANGE, (changed[:1],), (changed,)),
        )

    async def cost(self, kind: int, without: str = "") -> tuple[float, float]:
        """Return the microseconds and the logged bytes of each row, after `without` was performed."""
        statement, one, many = self._kinds[kind]
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if without:
                await self._connection.execute(without)
            # The first write looks up what was changed, and plans anew.
            await self._connection.execute(statement, *one)
            logged, before = await self._connection.fetchval(_WAL), cpu_seconds([self._pid])
            await self._connection.execute(statement, *many)
            # Keys and triggers that wait for the end of the statement are behind us here.
            spent = cpu_seconds([self._pid]) - before
            logged = await self._connection.fetchval(_WAL) - logged
            return spent / _ROWS * 1e6, float(logged) / _ROWS
        finally:
            await transaction.rollback()

    async def differences(self, whats: Sequence[What], rounds: int) -> list[list[Difference]]:
        """Return for each of them what it adds to each kind of write; all are measured in turns."""
        found = [[Difference() for _ in self._kinds] for _ in whats]
        for _ in range(rounds):
            for kind in range(len(self._kinds)):
                before = await self.cost(kind)
                for what, differences in zip(whats, found, strict=True):
                    without = await self.cost(kind, what.without)
                    after = await self.cost(kind)
                    whole = [(one + other) / 2 for one, other in zip(before, after, strict=True)]
                    difference = differences[kind]
                    difference.whole.append(whole[0])
                    difference.microseconds.append(whole[0] - without[0])
                    difference.wal_bytes.append(whole[1] - without[1])
                    before = after
        return found


async def _measure(settings: Settings, tasks: int, rounds: int) -> None:
    async with open_process(settings, name="bench") as process:
        connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        account = await make_account(process.sessions, connection)
        (project,) = await fill(process.sessions, connection, account, [tasks])
        # What is put off would show nowhere, or with somebody else.
        await connection.execute(f"ALTER INDEX {_SEARCH} SET (fastupdate = off)")
        await connection.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        caller = (project.id, account.user_id)
        changed = [row["id"] for row in await connection.fetch(_CHANGED, *caller, _ROWS)]
        writes = Writes(connection, pid, caller, changed)
        indexes = [
            What(row["name"], f"{row['size'] / 2**20:.1f}", f"DROP INDEX {row['name']}")
            for row in await connection.fetch(_INDEXES)
        ]
        search = [what for what in indexes if what.name == _SEARCH]
        others = [what for what in indexes if what.name != _SEARCH]
        click.echo(
            "| what | MB | of an insert, µs | share | WAL bytes | of a change of status, µs | share | WAL bytes |"
        )
        click.echo("|---|---|---|---|---|---|---|---|")
        _show(search, await writes.differences(search, max(rounds // 5, 5)))
        # It costs so much that it would hide the others: their shares are of a write without it.
        await connection.execute(f"DROP INDEX {_SEARCH}")
        others.append(What("counting (triggers)", "", _NO_COUNTING))
        _show(others, await writes.differences(others, rounds))
        await connection.close()


def _show(whats: Sequence[What], found: Sequence[Sequence[Difference]]) -> None:
    for what, differences in zip(whats, found, strict=True):
        cells = [cell for difference in differences for cell in difference.cells()]
        click.echo("| " + " | ".join([what.name, what.megabytes, *cells]) + " |")


@click.command()
@click.option("--tasks", default=100_000, show_default=True, help="How many there are before.")
@click.option("--rounds", default=40, show_default=True, help="How often each write is performed.")
def main(tasks: int, rounds: int) -> None:
    """Measure and print one table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with servers() as settings:
        uvloop.run(_measure(settings, tasks, rounds))


if __name__ == "__main__":
    main()
