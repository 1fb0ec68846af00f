"""The transaction of a session, which the driver begins and ends in half the time of a session's own (ADR 71)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import asyncpg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, MissingGreenlet
from sqlalchemy.pool import PoolProxiedConnection, QueuePool
from sqlalchemy.util import await_only, greenlet_spawn

from app.outages import DatabaseUnavailable, is_database_outage


@dataclass(slots=True)
class Transaction:
    """The transactions of one session, one after another. The first statement that needs one begins it."""

    engine: Engine
    # None while there is no transaction.
    connection: PoolProxiedConnection | None = None
    _joined: Connection | None = None

    async def fetch(self, sql: str, arguments: Sequence[object], *, alone: bool) -> Sequence[asyncpg.Record]:
        """Run a statement by the driver in the transaction, or by itself if it may be `alone`; return its rows."""
        with _NamedErrors():
            if self.connection is not None or not alone:
                return await _send(self.connection or await self._begin(), sql, arguments)
            # One round trip instead of three (ADR 71).
            connection = await _check_out(self.engine)
            try:
                return await _send(connection, sql, arguments)
            finally:
                connection.close()

    def join(self) -> Connection:
        """Return the connection as the session uses it. Only savepoints are sent by the session."""
        connection = self.connection or await_only(self._begin())
        _ = _driver(connection)
        if self._joined is None:
            self._joined = Connection(self.engine, connection)
        return self._joined

    async def end(self, statement: str) -> None:
        """Send COMMIT or ROLLBACK if there is a transaction, and return its connection to the pool."""
        connection = self.connection
        if connection is None:
            return
        self.connection = self._joined = None
        driver = _driver(connection)
        try:
            with _NamedErrors():
                ended_by = await driver.execute(statement)
        except BaseException:
            # The next user of the connection must not find an open transaction.
            connection.invalidate()
            raise
        connection.close()
        if ended_by != statement:
            # PostgreSQL answers a COMMIT with ROLLBACK if a statement of the transaction has failed.
            raise asyncpg.InFailedSQLTransactionError("nothing of this transaction was committed")

    async def _begin(self) -> PoolProxiedConnection:
        with _NamedErrors():
            connection = await _check_out(self.engine)
            try:
                await _driver(connection).execute("BEGIN")
            except BaseException:
                connection.invalidate()
                raise
        self.connection = connection
        return connection


async def _check_out(engine: Engine) -> PoolProxiedConnection:
    # Waiting and connecting need a greenlet, which costs as much time as a short statement.
    if cast("QueuePool", engine.pool).checkedin():
        with suppress(MissingGreenlet):
            return engine.raw_connection()
    return await greenlet_spawn(engine.raw_connection)


async def _send(
    connection: PoolProxiedConnection, sql: str, arguments: Sequence[object]
) -> Sequence[asyncpg.Record]:
    try:
        return cast("Sequence[asyncpg.Record]", await _driver(connection).fetch(sql, *arguments))
    except (OSError, asyncpg.InternalClientError, asyncio.CancelledError):
        # The server may wait for the rest of a message, or perform the statement to its end, and hold locks meanwhile.
        # `invalidate` asks it to cancel, for up to two seconds; the driver can wait for that in a greenlet only.
        await greenlet_spawn(connection.invalidate)
        raise
    except asyncpg.ReadOnlySQLTransactionError:
        # The server has become a standby, or a proxy leads to one: a new connection may find the primary.
        connection.invalidate()
        raise


def _driver(connection: PoolProxiedConnection) -> asyncpg.Connection:
    if not connection.is_valid:
        # SQLAlchemy would go on with another connection, outside of the transaction.
        raise DatabaseUnavailable("the connection of this transaction is lost")
    return cast("asyncpg.Connection", connection.driver_connection)


class _NamedErrors:
    """Convert outages of the driver to DatabaseUnavailable, violated constraints to IntegrityError."""

    # Not made by `contextmanager`, which would take three times as long.
    __slots__ = ()

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, Exception):
            return
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            raise IntegrityError(None, None, error) from error
        if isinstance(error, OSError) or is_database_outage(error):
            raise DatabaseUnavailable(str(error) or "not answered in time") from error
