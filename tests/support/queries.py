"""Sees every statement that an engine sends, for query budgets and for EXPLAIN."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Statement", "recorded"]

_TRANSACTIONS = ("BEGIN", "COMMIT", "ROLLBACK")
# The rolled-back transaction of a test turns the application's transactions into savepoints; production has none.
_SAVEPOINTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the driver got it."""

    sql: str
    parameters: tuple[Any, ...]


@contextmanager
def recorded(engine: AsyncEngine) -> Generator[list[Statement], None, None]:
    """Collect what is sent inside the block."""
    statements: list[Statement] = []

    def record(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        if not sql.startswith(_SAVEPOINTS):
            statements.append(Statement(sql, tuple(parameters)))

    def note(query: Any) -> None:
        if not query.query.startswith(_TRANSACTIONS):
            statements.append(Statement(query.query, tuple(query.args or ())))

    watched: set[Any] = set()

    def watch(connection: Any, *_: Any) -> None:
        # `Prepared` statements go past SQLAlchemy; the driver does not tell of those that SQLAlchemy prepared.
        driver = connection.driver_connection
        if driver not in watched:
            driver.add_query_logger(note)
            watched.add(driver)

    event.listen(engine.sync_engine, "before_cursor_execute", record)
    event.listen(engine.sync_engine, "checkout", watch)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", record)
        event.remove(engine.sync_engine, "checkout", watch)
        for driver in watched:
            driver.remove_query_logger(note)
