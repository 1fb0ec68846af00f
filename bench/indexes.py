"""`make bench-indexes`: what each index of tasks costs a write, and what counting does.

An index is dropped, rows are written, and both are rolled back, in turns with the same writes beside all indexes. What
counts is the processor time of the database's session, so that other work on the machine does not show.
"""

from typing import Final

import asyncpg
import click
import structlog
import uvloop

from app.config import Settings
from app.services.process import open_process
from bench.data import fill, make_account
from bench.load import cpu_seconds
from bench.servers import servers

_ROWS: Final = 500
_SEARCH: Final = "ix_tasks_search"
_INDEXES: Final = """
SELECT indexrelname AS name, pg_relation_size(indexrelid) AS size FROM pg_stat_user_indexes
WHERE relname = 'tasks' AND starts_with(indexrelname, 'ix_') ORDER BY indexrelname
"""
_INSERT: Final = f"""
INSERT INTO tasks (id, project_id, created_by_id, title, title_manually_set, description, origin_product, repository,
    internal, archived, created_at, updated_at)
SELECT gen_random_uuid(), $1, $2, 'Task ' || md5(random()::text), true,
    repeat('What the agent is asked to do, in a few plain sentences. ', 6) || md5(random()::text), 'user_created',
    'org' || i % 40 || '/repo' || i % 400, false, false, now(), now()
FROM generate_series(1, {_ROWS}) i
"""
_CHANGE: Final = f"""
UPDATE tasks SET latest_run_status = CASE latest_run_status WHEN 'queued' THEN 'in_progress' ELSE 'queued' END
WHERE id IN (SELECT id FROM tasks WHERE project_id = $1 AND created_by_id = $2 ORDER BY id LIMIT {_ROWS})
"""
_NO_COUNTING: Final = "ALTER TABLE tasks DISABLE TRIGGER USER"


class Writes:
    """Performs writes that leave nothing, on one session whose processor time is read."""

    def __init__(self, connection: asyncpg.Connection, pid: int, project_id: int, user_id: int) -> None:
        self._connection = connection
        self._pid = pid
        self._caller = (project_id, user_id)

    async def cost(self, statement: str, *, without: str = "") -> float:
        """Return the microseconds that the database spends on each row, after `without` was performed."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            if without:
                await self._connection.execute(without)
            before = cpu_seconds([self._pid])
            await self._connection.execute(statement, *self._caller)
            # Keys and triggers that wait for the end of the statement are behind us here.
            return (cpu_seconds([self._pid]) - before) / _ROWS * 1e6
        finally:
            await transaction.rollback()

    async def difference(self, statement: str, without: str, *, rounds: int) -> tuple[float, float]:
        """Return what a row costs with everything, and how much less it is `without`: the best of some rounds each.

        The index for searches costs so much that it would hide the others: those are compared without it.
        """
        beside = "" if _SEARCH in without else f"DROP INDEX {_SEARCH};"
        whole, first, second = [], [], []
        for _ in range(rounds):
            whole.append(await self.cost(statement))
            first.append(await self.cost(statement, without=beside))
            second.append(await self.cost(statement, without=beside + without))
        return min(whole), min(first) - min(second)


async def _measure(settings: Settings, tasks: int, rounds: int) -> None:
    async with open_process(settings, name="bench") as process:
        connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        account = await make_account(process.sessions, connection)
        (project,) = await fill(process.sessions, connection, account, [tasks])
        # What is put off would show nowhere, or with somebody else.
        await connection.execute(f"ALTER INDEX {_SEARCH} SET (fastupdate = off)")
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        writes = Writes(connection, pid, project.id, account.user_id)
        for statement in (_INSERT, _CHANGE):
            await writes.cost(statement)
        click.echo("| what | MB | of an insert, µs | share | of a change of status, µs | share |")
        click.echo("|---|---|---|---|---|---|")
        whats = [
            (row["name"], f"{row['size'] / 2**20:.1f}", f"DROP INDEX {row['name']}")
            for row in await connection.fetch(_INDEXES)
        ]
        for name, size, without in (*whats, ("counting (triggers)", "", _NO_COUNTING)):
            inserted, of_insert = await writes.difference(_INSERT, without, rounds=rounds)
            changed, of_change = await writes.difference(_CHANGE, without, rounds=rounds)
            click.echo(
                f"| {name} | {size} | {of_insert:.1f} | {of_insert / inserted:.0%} "
                f"| {of_change:.1f} | {of_change / changed:.0%} |"
            )
        await connection.close()


@click.command()
@click.option("--tasks", default=100_000, show_default=True, help="How many there are before.")
@click.option("--rounds", default=15, show_default=True, help="How often each write is performed.")
def main(tasks: int, rounds: int) -> None:
    """Measure and print one table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with servers() as settings:
        uvloop.run(_measure(settings, tasks, rounds))


if __name__ == "__main__":
    main()
