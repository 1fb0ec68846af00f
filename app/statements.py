"""Prepared SQL statements, which are built and compiled once, and run by the driver directly.

Requests normally use these (CONTRIBUTING, "Queries"): building and compiling a statement takes longer than
running it, and so does a transaction around a single statement.

A read joins the transaction of its session; if there is none, it runs alone: no BEGIN, no COMMIT, one round
trip. A write, or a read that locks rows, begins the transaction of its session, so that a later failure rolls
it back and the locks last; the driver begins and ends that transaction itself until the session runs a
statement of its own (ADR 51). Only `first_alone` and `perform_alone` commit a write by itself;
`tests/test_statements.py` lists the permitted callers (ADR 44).
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import asyncpg
from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.util import greenlet_spawn

from app.db import NamedErrors, begin, drop, transaction_of

# A row: values by the names of its columns.
Fields = Mapping[str, Any]

_LOCKS = re.compile(r"\bFOR (NO KEY )?UPDATE\b|\bFOR (KEY )?SHARE\b")
_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own is not annotated


class Prepared:
    """An SQL statement that is compiled once and run many times, each time with other values for its `bindparam`s.

    Keep each object in a constant or in a cache of limited size.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement

    @cached_property
    def _sent(self) -> "_Sent":
        # Compiled at the first use, so that the start of a process does not wait for all statements.
        compiled = self._statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined] # every statement can be
        return _Sent(
            str(compiled),
            [
                (name, compiled.params[name], _processor(compiled.binds[name]))
                for name in compiled.positiontup or ()
            ],
            # A SELECT may write too, by one of its CTEs; and locks of rows last as long as their transaction.
            writes=any(getattr(part, "is_dml", False) for part in iterate(self._statement))  # type: ignore[arg-type] # likewise
            or _LOCKS.search(str(compiled)) is not None,
        )

    async def all(self, session: AsyncSession, values: Mapping[str, Any]) -> Sequence[Fields]:
        """Run the statement with `values` (by parameter name), and return its rows as mappings by column name.

        The statement runs in the session's transaction. If there is none, a statement that writes or locks rows begins
        one, and a statement that only reads runs without one.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused the values.

        """
        sent, transaction = self._sent, transaction_of(session)
        if not session.in_transaction():
            if transaction is None and sent.writes:
                transaction = await begin(session)
            if transaction is not None:
                with NamedErrors():
                    return await transaction.fetch(sent.sql, sent.arguments(values))
            if not sent.writes:
                return await _alone(session, sent, values)
        return await _within(session, sent, values)

    async def first(self, session: AsyncSession, values: Mapping[str, Any]) -> Fields | None:
        """Run the statement with `values` (by parameter name), and return its first row, or None if it has no row.

        The statement runs in the session's transaction. If there is none, a statement that writes or locks rows begins
        one, and a statement that only reads runs without one.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused the values.

        """
        rows = await self.all(session, values)
        return rows[0] if rows else None

    async def perform(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Run a statement that returns no rows, with `values` (by parameter name), in the session's transaction.

        If there is none, the statement begins one. It is not committed here.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused the values.

        """
        await self.all(session, values)

    async def first_alone(self, session: AsyncSession, values: Mapping[str, Any]) -> Fields | None:
        """Run a write in a transaction of its own, commit it, and return its first row, or None if there is no row.

        If the session has a transaction already, the write becomes part of that transaction. It is then not committed
        here, but with that transaction. Use this method only for a write that need not be rolled back if a later step
        fails.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused the values.

        """
        if session.in_transaction() or transaction_of(session):
            return await self.first(session, values)
        rows = await _alone(session, self._sent, values)
        return rows[0] if rows else None

    async def perform_alone(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Run a write that returns no rows in a transaction of its own, and commit it.

        If the session has a transaction already, the write becomes part of that transaction. It is then not committed
        here, but with that transaction.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused the values.

        """
        await self.first_alone(session, values)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A compiled statement, as the driver gets it."""

    sql: str
    # In the order of the driver's arguments: the name, the default, the conversion.
    parameters: Sequence[tuple[str, Any, Callable[[Any], Any] | None]]
    # Whether it changes or locks rows.
    writes: bool

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of one call."""
        arguments = []
        for name, default, process in self.parameters:
            value = values.get(name, default)
            arguments.append(value if process is None else process(value))
        return arguments


async def _within(session: AsyncSession, sent: _Sent, values: Mapping[str, Any]) -> Sequence[Fields]:
    """Run a statement in the transaction that the session has begun itself."""
    connection = await session.connection()
    result = await connection.exec_driver_sql(sent.sql, tuple(sent.arguments(values)))
    return cast("Sequence[Fields]", result.mappings().all()) if result.returns_rows else ()


async def _alone(session: AsyncSession, sent: _Sent, values: Mapping[str, Any]) -> Sequence[Fields]:
    """Run a statement as a transaction of its own, without the session."""
    arguments = sent.arguments(values)
    engine = cast("AsyncEngine", session.bind).sync_engine
    with NamedErrors():
        connection = await greenlet_spawn(engine.raw_connection)
        try:
            driver = cast("asyncpg.Connection", connection.driver_connection)
            return cast("Sequence[Fields]", await driver.fetch(sent.sql, *arguments))
        except (asyncpg.InternalClientError, asyncio.CancelledError, TimeoutError):
            # The protocol is out of step: the driver does not know which message comes next, or the server waits for
            # the rest of a message, with its locks held.
            await drop(connection)
            raise
        finally:
            # No transaction was begun, so this needs no round trip for a rollback.
            connection.close()


def _processor(parameter: Any) -> Any:
    return parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
