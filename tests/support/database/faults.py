"""Faults of the database and of responses, for as long as a block runs."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import FunctionType
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.responses import Response

from app.db import SessionFactory, unit_of_work
from app.models import Base

_TABLES = [table.name for table in Base.metadata.sorted_tables]
_REFUSE = """
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
"""
_AT_COMMIT = """
CREATE CONSTRAINT TRIGGER planted AFTER INSERT OR UPDATE OR DELETE ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION planted();
"""
_REFUSE_ROWS = """
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION planted();
"""
_REFUSE_SOME = """
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN RAISE EXCEPTION 'planted'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION planted();
"""
# For each row that is read; `planted_rows` is the table.
_REFUSE_READS = """
ALTER TABLE {table} RENAME TO planted_rows;
CREATE FUNCTION planted() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$;
CREATE VIEW {table} AS SELECT * FROM planted_rows WHERE planted();
"""
# A sequence counts on when its transaction is rolled back.
_ONCE = """
CREATE SEQUENCE planted_once;
CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('planted_once') = 1 THEN {fault}; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION planted();
"""


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


class Planted(Exception):
    """The error that a planted fault raises."""


@asynccontextmanager
async def rolled_back(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """Yield the session of a unit of work that fails at its end."""
    with suppress(Planted):
        async with unit_of_work(sessions) as session:
            yield session
            raise Planted


@asynccontextmanager
async def altered(engine: AsyncEngine, change: str, *, undo: str) -> AsyncGenerator[None, None]:
    """Change the schema for the block with the SQL `change`, and undo it afterwards; both are committed."""
    await _run(engine, change)
    try:
        yield
    finally:
        try:
            await _run(engine, f"SET LOCAL lock_timeout = '10s'; {undo}")
        except asyncpg.LockNotAvailableError:
            # A session that the fault cut off in the middle of a statement can keep its lock until it ends.
            await _run(engine, _END_OTHERS)
            await _run(engine, undo)


@asynccontextmanager
async def failing_commits(engine: AsyncEngine) -> AsyncGenerator[None, None]:
    """Make every transaction that has written a row fail when it commits."""
    plant = _REFUSE + "".join(_AT_COMMIT.format(table=table) for table in _TABLES)
    async with altered(engine, plant, undo="DROP FUNCTION planted() CASCADE"):
        yield


@asynccontextmanager
async def refusing(engine: AsyncEngine, table: str, *, code: str) -> AsyncGenerator[None, None]:
    """Make writes to a table fail with this SQLSTATE."""
    plant = _REFUSE_ROWS.format(table=table, code=code)
    async with altered(engine, plant, undo="DROP FUNCTION planted() CASCADE"):
        yield


@asynccontextmanager
async def refusing_some(engine: AsyncEngine, table: str, condition: str) -> AsyncGenerator[None, None]:
    """Make writes of rows that meet a condition, in SQL about `NEW`, fail with an unexpected error."""
    plant = _REFUSE_SOME.format(table=table, condition=condition)
    async with altered(engine, plant, undo="DROP FUNCTION planted() CASCADE"):
        yield


@asynccontextmanager
async def refusing_reads(engine: AsyncEngine, table: str, *, code: str) -> AsyncGenerator[None, None]:
    """Make reads of a table that has rows fail with this SQLSTATE."""
    plant = _REFUSE_READS.format(table=table, code=code)
    undo = f"DROP VIEW {table}; DROP FUNCTION planted(); ALTER TABLE planted_rows RENAME TO {table}"
    async with altered(engine, plant, undo=undo):
        yield


@asynccontextmanager
async def failing_once(engine: AsyncEngine, table: str) -> AsyncGenerator[None, None]:
    """Make the server end the session that writes the first row of a table, in the middle of its statement."""
    undo = "DROP FUNCTION planted() CASCADE; DROP SEQUENCE planted_once"
    fault = "PERFORM pg_terminate_backend(pg_backend_pid())"
    async with altered(engine, _ONCE.format(table=table, fault=fault), undo=undo):
        yield


@asynccontextmanager
async def refusing_once(engine: AsyncEngine, table: str) -> AsyncGenerator[None, None]:
    """Make the first write to a table fail with an unexpected error."""
    undo = "DROP FUNCTION planted() CASCADE; DROP SEQUENCE planted_once"
    async with altered(engine, _ONCE.format(table=table, fault="RAISE EXCEPTION 'planted'"), undo=undo):
        yield


@contextmanager
def cut_once(engine: AsyncEngine, words: str) -> Generator[list[str], None, None]:
    """Break the connection just before it sends the first statement with these words.

    Yields a list that gets this statement. Not for statements that are `Prepared`.
    """
    cut: list[str] = []

    def break_connection(connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        if not cut and words in statement:
            cut.append(statement)
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.terminate()

    event.listen(engine.sync_engine, "before_cursor_execute", break_connection)
    try:
        yield cut
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", break_connection)


@contextmanager
def replacing(engine: AsyncEngine, words: str, fault: str) -> Generator[None, None, None]:
    """Send the statement `fault` in place of each one with these words. Not for statements that are `Prepared`."""

    def replace(
        _connection: Connection, _cursor: object, statement: str, values: object, *_more: object
    ) -> Any:
        return fault if words in statement else statement, values

    event.listen(engine.sync_engine, "before_cursor_execute", replace, retval=True)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", replace)


@contextmanager
def unacknowledged_once() -> Generator[list[str], None, None]:
    """Lose the acknowledgement of the next commit of this process: the server has committed, and the connection breaks.

    Yields a list that gets this statement.
    """
    lost: list[str] = []
    execute = asyncpg.Connection.execute

    async def lose(connection: asyncpg.Connection, query: str, *arguments: Any, **named: Any) -> str:
        status = await execute(connection, query, *arguments, **named)
        if not lost and query.startswith("COMMIT"):
            lost.append(query)
            raise ConnectionResetError("planted")
        return status

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", lose)
        yield lost


@asynccontextmanager
async def refusing_deletions(engine: AsyncEngine, table: str) -> AsyncGenerator[None, None]:
    """Make the deletion of rows of a table fail with an unexpected error."""
    plant = (
        _REFUSE + f"CREATE TRIGGER planted BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION planted();"
    )
    async with altered(engine, plant, undo="DROP FUNCTION planted() CASCADE"):
        yield


@contextmanager
def failing_answer() -> Generator[None, None, None]:
    """Make the next successful response fail while it is built: after the service's function, before the commit."""
    make_headers, dumps = Response.init_headers, orjson.dumps
    planted: list[str] = []

    def fail(answer: Response, *arguments: Any, **named: Any) -> None:
        if answer.status_code < 400:
            raise Planted
        make_headers(answer, *arguments, **named)

    def fail_to_encode(content: Any, default: Any = None, option: int | None = None) -> bytes:
        # Only responses have a function for what orjson does not know; the next one says what failed.
        if isinstance(default, FunctionType) and not planted:
            planted.append("response")
            raise Planted
        return dumps(content, default, option)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Response, "init_headers", fail)
        patch.setattr(orjson, "dumps", fail_to_encode)
        yield


async def _run(engine: AsyncEngine, script: str) -> None:
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        # Several statements at once are one transaction.
        await raw.driver_connection.execute(script)
