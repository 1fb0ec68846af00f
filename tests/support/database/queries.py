"""Recording of every statement that an engine sends, for query budgets and for EXPLAIN."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.waiting import next_round

# What begins and ends transactions, and what the driver asks for of itself about a type.
_NOT_OURS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
_INTROSPECTION = ("current_setting('jit')", "typeinfo_tree")


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement with its parameters, as the driver got it."""

    sql: str
    parameters: tuple[Any, ...]


@asynccontextmanager
async def recorded(engine: AsyncEngine) -> AsyncGenerator[list[Statement], None]:
    """Yield a list that collects the statements sent during the block."""
    statements: list[Statement] = []

    def record(
        _connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, is_many: Any
    ) -> None:  # fmt: skip
        # The driver says itself what it sends for many rows.
        if not is_many and not sql.startswith(_NOT_OURS):
            statements.append(Statement(sql, tuple(parameters)))

    def note(query: Any) -> None:
        if not query.query.startswith(_NOT_OURS) and not any(part in query.query for part in _INTROSPECTION):
            statements.append(Statement(query.query, tuple(query.args or ())))

    watched: set[Any] = set()

    def watch(connection: Any, *_: Any) -> None:
        # `Prepared` statements go past SQLAlchemy; the driver does not report those that SQLAlchemy prepared.
        driver = connection.driver_connection
        if driver not in watched:
            driver.add_query_logger(note)
            watched.add(driver)

    event.listen(engine.sync_engine, "before_cursor_execute", record)
    event.listen(engine.sync_engine, "checkout", watch)
    try:
        yield statements
        # The driver says so a moment later.
        await next_round()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", record)
        event.remove(engine.sync_engine, "checkout", watch)
        for driver in watched:
            driver.remove_query_logger(note)
