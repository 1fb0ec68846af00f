"""Statements that are built and compiled once, and performed by the driver with nothing in between.

This is the ordinary way to answer a request (CONTRIBUTING, "Queries"): building and compiling a statement takes longer
than performing it, and so does a transaction around a single one. A session that has begun its transaction takes the
statement into it. A session that has not leaves it to be a transaction of its own: no BEGIN, no COMMIT, one round trip.
What must be all or nothing with other statements therefore comes behind one of the session's own, or after
`await session.begin()`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import asyncpg
from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi, dialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from app.db import DatabaseUnavailable, is_server_away

__all__ = ["Fields", "Prepared"]

# A row by the names of its columns.
Fields = Mapping[str, Any]

_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own is not annotated


class Prepared:
    """A statement whose every parameter is a `bindparam`; keep it in a constant, or in a bounded cache by its shape."""

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
        )

    async def all(self, session: AsyncSession, values: Mapping[str, Any]) -> Sequence[Fields]:
        """Perform the statement and return its rows.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint refused what was to be written.

        """
        engine = session.bind
        if session.in_transaction() or not isinstance(engine, AsyncEngine):
            rows = (await session.execute(self._statement, dict(values))).mappings().all()
            return cast("Sequence[Fields]", rows)
        return await _alone(engine, self._sent.sql, self._sent.arguments(values))

    async def first(self, session: AsyncSession, values: Mapping[str, Any]) -> Fields | None:
        """Do as `all` does; return the first row, None if there is none."""
        rows = await self.all(session, values)
        return rows[0] if rows else None

    async def perform(self, session: AsyncSession, values: Mapping[str, Any]) -> None:
        """Do as `all` does with a statement that returns no rows."""
        engine = session.bind
        if session.in_transaction() or not isinstance(engine, AsyncEngine):
            await session.execute(self._statement, dict(values))
        else:
            await _alone(engine, self._sent.sql, self._sent.arguments(values))


@dataclass(frozen=True, slots=True)
class _Sent:
    """What the driver is given."""

    sql: str
    # In the order of the driver's arguments: the name, what it holds unless given, how it is sent.
    parameters: Sequence[tuple[str, Any, Callable[[Any], Any] | None]]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of one call."""
        arguments = []
        for name, default, process in self.parameters:
            value = values.get(name, default)
            arguments.append(value if process is None else process(value))
        return arguments


async def _alone(engine: AsyncEngine, sql: str, arguments: Sequence[Any]) -> Sequence[Fields]:
    driver: asyncpg.Connection | None = None
    try:
        connection = await greenlet_spawn(engine.sync_engine.raw_connection)
        try:
            driver = cast("asyncpg.Connection", connection.driver_connection)
            return cast("Sequence[Fields]", await driver.fetch(sql, *arguments))
        finally:
            # Nothing was begun, so there is nothing to roll back: this waits for nobody.
            connection.close()
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityError(sql, None, error) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, AsyncAdapt_asyncpg_dbapi.Error, OSError) as error:
        if (driver is not None and driver.is_closed()) or is_server_away(error):
            raise DatabaseUnavailable(str(error)) from error
        raise


def _processor(parameter: Any) -> Any:
    return parameter.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
