"""Statements that are built and compiled once, and performed by the driver with nothing in between.

This is the ordinary way to answer a request (CONTRIBUTING, "Queries"): building and compiling a statement takes longer
than performing it, and so does a transaction around a single one.

A read joins the transaction of its session; before there is one, it stands alone: no BEGIN, no COMMIT, one round trip. A
write begins the transaction of its session, so that whatever fails afterwards takes it back; the driver begins and ends it
by itself until the session has a statement of its own (ADR 51). Only `first_alone` and `perform_alone` let a write commit
by itself; `tests/test_statements.py` lists who may (ADR 44).
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import asyncpg
from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.util import greenlet_spawn

from app.db import begin, named_outages, transaction_of

# A row by the names of its columns.
Fields = Mapping[str, Any]

_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own is not annotated


class Prepared:
    """A statement with only `bindparam` parameters; keep it in a constant, or in a bounded cache by its shape."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement

    @cached_property
    def _sent(self) -> "_Sent":
        # Made at the first use: a process need not wait for all of its statements before it answers.
        compiled = self._statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined] # every statement can be
        return _Sent(
            str(compiled),
            [
                (name, compiled.params[name], _processor(compiled.binds[name]))
                for name in compiled.positiontup or ()
            ],
            # A SELECT may write too, by one of its CTEs.
            writes=any(getattr(part, "is_dml", False) for part in iterate(self._statement)),  # type: ignore[arg-type] # likewise
        )

    async def all(self, session: AsyncSession, values: Mapping[str, Any]) -> Sequence[Fields]:
        """Perform the statement and return its rows; one that writes does so in the session's transaction.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused what was to be written.

        """
        sent, transaction = self._sent, transaction_of(session)
        if not session.in_transaction():
            if transaction is None and sent.writes:
                transaction = await begin(session)
            if transaction is not None:
                with _named_errors(sent):
                    return await transaction.fetch(sent.sql, sent.arguments(values))
            if not sent.writes:
                return await _alone(session, sent, values)
        return await _within(session, sent, values)

    async def first(self, session: AsyncSession, values: Mapping[str, Any]) -> Fields | None:
        """Do as `all` does; return the first row, None if there is none."""
        rows = await self.all(session, values)
        return rows[0] if rows else None

    async def perform(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Do as `all` does with a statement that returns no rows."""
        await self.all(session, values)

    async def first_alone(self, session: AsyncSession, values: Mapping[str, Any]) -> Fields | None:
        """Perform a write as a transaction of its own, committed when this returns; return its first row, if any.

        For a write that holds every condition in its own statement, and after which nothing can fail that would have to
        take it back. Joins the session's transaction where there is one. Raises what `all` does.
        """
        if session.in_transaction() or transaction_of(session):
            return await self.first(session, values)
        rows = await _alone(session, self._sent, values)
        return rows[0] if rows else None

    async def perform_alone(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Do as `first_alone` does with a statement that returns no rows."""
        await self.first_alone(session, values)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A compiled statement, as the driver gets it."""

    sql: str
    # In the order of the driver's arguments: the name, what it holds unless given, how it is sent.
    parameters: Sequence[tuple[str, Any, Callable[[Any], Any] | None]]
    writes: bool

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of one call."""
        arguments = []
        for name, default, process in self.parameters:
            value = values.get(name, default)
            arguments.append(value if process is None else process(value))
        return arguments


async def _within(session: AsyncSession, sent: _Sent, values: Mapping[str, Any]) -> Sequence[Fields]:
    """Perform a statement in the transaction that the session has begun itself."""
    connection = await session.connection()
    result = await connection.exec_driver_sql(sent.sql, tuple(sent.arguments(values)))
    return cast("Sequence[Fields]", result.mappings().all()) if result.returns_rows else ()


async def _alone(session: AsyncSession, sent: _Sent, values: Mapping[str, Any]) -> Sequence[Fields]:
    """Perform a statement as a transaction of its own, past the session."""
    arguments = sent.arguments(values)
    engine = cast("AsyncEngine", session.bind).sync_engine
    with _named_errors(sent):
        connection = await greenlet_spawn(engine.raw_connection)
        try:
            driver = cast("asyncpg.Connection", connection.driver_connection)
            return cast("Sequence[Fields]", await driver.fetch(sent.sql, *arguments))
        except (asyncpg.InternalClientError, asyncio.CancelledError, TimeoutError):
            # The driver no longer knows what the server will say next, or the server still waits for the rest of what was
            # to be sent, with its locks held.
            connection.invalidate()
            raise
        finally:
            # Nothing was begun, so there is nothing to roll back: this waits for no round trip.
            connection.close()


@contextmanager
def _named_errors(sent: _Sent) -> Generator[None, None, None]:
    """Raise for the driver's errors what a session would."""
    with named_outages():
        try:
            yield
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(sent.sql, None, error) from error


def _processor(parameter: Any) -> Any:
    return parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
