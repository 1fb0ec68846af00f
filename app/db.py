"""Database engine, sessions and units of work. No other module commits.

One request or one job step is one transaction. Effects on the outside world (a job, an event) are registered
with `after_commit` and run after its commit; a rollback drops them. They may be lost in a crash, so a row
that requests the effect is written in the same transaction, and a sweep finds rows with a lost effect.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Any, cast

import asyncpg
import orjson
import structlog
from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn
from typing_extensions import override

from app.config import Settings
from app.outages import DatabaseUnavailable, is_database_outage, is_outage

SessionFactory = async_sessionmaker[AsyncSession]
Hook = Callable[[], Awaitable[None]]

_HOOKS = "after_commit_hooks"
# Key in the `info` of a session in a unit of work: the transaction that the driver has begun for it, or None.
_TRANSACTION = "driver_transaction"
_STATEMENT_TIMEOUT_SECONDS = 30
_CONNECT_TIMEOUT_SECONDS = 5
_POOL_TIMEOUT_SECONDS = 10
_CONNECTION_LIFE_SECONDS = 1800
# A host that vanished in a transaction would keep its locks, and all readers of the ledger waiting, for two hours.
_LIMITS_OF_A_LOST_CLIENT = {
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

# Errors that a session raises; a socket may also break while a new connection is prepared.
_DRIVER_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)

log = structlog.get_logger(__name__)


def create_engine(
    settings: Settings,
    *,
    application_name: str,
    statement_seconds: float = _STATEMENT_TIMEOUT_SECONDS,
    plan_once: bool = False,
) -> AsyncEngine:
    """Return a database engine with a connection pool for this process. It connects at its first use.

    Args:
        settings: the URL of the database and the size of the pool.
        application_name: the name that PostgreSQL shows for each connection.
        statement_seconds: the time limit of a statement. A statement that exceeds it fails with DatabaseUnavailable.
        plan_once: whether the server plans each statement once per connection and uses this plan for all values. This
            saves most of the time of a short statement. Code that needs a plan for particular values sets
            `plan_cache_mode` in its transaction.

    """
    # JIT helps analytics; here it would only delay the first request by its compile time.
    server_settings = {"application_name": application_name, "jit": "off", **_LIMITS_OF_A_LOST_CLIENT}
    if plan_once:
        server_settings["plan_cache_mode"] = "force_generic_plan"
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        # The connection that was used last has most statements prepared; in turns, each one would prepare all.
        pool_use_lifo=True,
        # A firewall may drop a connection that is idle for long, and neither end notices.
        pool_recycle=_CONNECTION_LIFE_SECONDS,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": _CONNECT_TIMEOUT_SECONDS,
            "command_timeout": statement_seconds,
            "server_settings": server_settings,
            **({} if settings.database_prepared_statements else _pgbouncer_options(application_name)),
        },
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)
    event.listen(engine.sync_engine, "handle_error", _name_outage)
    return engine


def _pgbouncer_options(application_name: str) -> dict[str, Any]:
    """Return the arguments for connections through a pooler, which may change the server session.

    There statements have no name, and no settings are sent that a pooler like pgbouncer does not know and
    refuses.
    """
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
        "server_settings": {"application_name": application_name},
    }


def create_session_factory(
    engine: AsyncEngine, *, info: Mapping[str, Any] = MappingProxyType({})
) -> SessionFactory:
    """Return a factory of database sessions that do not reload rows after a commit.

    Each session gets its own copy of `info` as its `info` dictionary.
    """
    return async_sessionmaker(
        engine, expire_on_commit=False, autoflush=False, sync_session_class=_JoiningSession, info=dict(info)
    )


@asynccontextmanager
async def unit_of_work(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """Return a context manager that yields a database session, and ends its transaction after the block.

    If the block succeeds, commit, and then run the functions that `after_commit` registered. If it raises, roll back.

    Raises:
        DatabaseUnavailable: the server went away, or no connection was free in time.

    """
    session = sessions()
    session.info[_TRANSACTION] = None
    try:
        try:
            yield session
            hooks = await _commit(session)
        except BaseException:
            session.info.pop(_HOOKS, None)
            if session.in_transaction():
                await session.rollback()
            raise
        finally:
            if session.in_transaction() or session.identity_map or session.info[_TRANSACTION]:
                # Shielded: not even a second cancellation may prevent the return of the connection.
                await asyncio.shield(asyncio.create_task(_close(session)))
    except _DRIVER_ERRORS as error:
        if isinstance(error, ConnectionError) or is_database_outage(error):
            raise DatabaseUnavailable(str(error)) from error
        raise
    await _run(hooks)


async def release(session: AsyncSession) -> None:
    """Commit the transaction of a session and return its connection to the pool.

    Then run the functions that `after_commit` registered. The session stays usable: its next statement begins a new
    transaction. Call this before waiting for another server.
    """
    await _run(await _commit(session))


def after_commit(session: AsyncSession, hook: Hook) -> None:
    """Register an async function that runs once after this session's transaction is committed. A rollback discards it.

    If the function raises an error, the error is only logged.
    """
    session.info.setdefault(_HOOKS, []).append(hook)


async def _commit(session: AsyncSession) -> list[Hook]:
    # An unused session has nothing to end, and ending it would cost as much as a statement.
    if session.in_transaction():
        await session.commit()
    if transaction := _take_transaction(session):
        await transaction.commit()
    hooks: list[Hook] = session.info.pop(_HOOKS, [])
    return hooks


async def _close(session: AsyncSession) -> None:
    await session.close()
    if transaction := _take_transaction(session):
        # If the rollback cannot be sent, the server rolls back when the connection closes.
        with suppress(DatabaseUnavailable):
            await transaction.roll_back()


async def _run(hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            await hook()
        except Exception as error:
            # The transaction is committed: a failure here must not turn its response into an error.
            if is_outage(error):
                log.warning("db.after_commit_failed", error=repr(error))
            else:
                log.exception("db.after_commit_failed")


class Transaction:
    """A database transaction that the driver asyncpg begins and ends directly, which is faster than through SQLAlchemy.

    A database session can use its connection (`join`), so that all statements are committed together. Call `commit` or
    `roll_back` once at the end; both return the connection to the pool.
    """

    __slots__ = ("_connection", "_driver", "_is_joined")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = cast("asyncpg.Connection", connection.connection.driver_connection)
        self._is_joined = False

    async def begin(self) -> None:
        """Begin the transaction.

        If that fails, close the connection instead of returning it to the pool.
        """
        try:
            await self._driver.execute("BEGIN")
        except BaseException:
            self._give_up()
            raise

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        """Run a statement in the transaction, and return its rows as mappings by column name.

        `sql` names its values `$1`, `$2` and so on; `arguments` has these values in order.
        """
        try:
            rows: Any = await self._driver.fetch(sql, *arguments)
        except (OSError, asyncpg.InternalClientError):
            # A rollback would be answered as little.
            await drop(self._connection)
            raise
        return cast("Sequence[Mapping[str, Any]]", rows)

    def join(self) -> Connection:
        """Return the connection of this transaction, for a database session that takes part in the transaction.

        The session cannot end the transaction: its BEGIN, COMMIT and ROLLBACK are not sent.
        """
        if not self._is_joined:
            # SQLAlchemy sends no BEGIN, COMMIT and ROLLBACK of its own.
            self._connection.execution_options(isolation_level="AUTOCOMMIT")
            self._is_joined = True
        return self._connection

    async def commit(self) -> None:
        """Commit and return the connection to the pool. If the commit fails, close the connection.

        Raises:
            DatabaseUnavailable: the server went away.
            IntegrityError: a constraint that is checked at the commit is violated.

        """
        await self._end("COMMIT")

    async def roll_back(self) -> None:
        """Roll back, and return the connection to the pool.

        If `drop` has closed the connection already, nothing is sent to the server.
        """
        if self._connection.invalidated:
            self._connection.close()
        else:
            await self._end("ROLLBACK")

    async def _end(self, statement: str) -> None:
        try:
            with NamedErrors():
                await self._driver.execute(statement)
        except BaseException:
            self._give_up()
            raise
        self._connection.close()

    def _give_up(self) -> None:
        """Close the connection: its next user must not find an open transaction."""
        self._connection.invalidate()
        self._connection.close()


async def drop(connection: Connection | PoolProxiedConnection) -> None:
    """Close a database connection, even while a statement still runs on it. This takes at most two seconds.

    The server is asked to cancel the statement first, because otherwise it would hold its locks until the statement
    ends.
    """
    # Only in a greenlet does SQLAlchemy let the driver wait for the server.
    await greenlet_spawn(connection.invalidate)


class _JoiningSession(Session):
    """A session that joins the transaction that the driver has begun for it."""

    @override
    def get_bind(self, *arguments: Any, **named: Any) -> Engine | Connection:
        transaction: Transaction | None = self.info.get(_TRANSACTION)
        return super().get_bind(*arguments, **named) if transaction is None else transaction.join()


def transaction_of(session: AsyncSession) -> Transaction | None:
    """Return the transaction that `begin` has begun for a database session and that has not ended, or None."""
    transaction: Transaction | None = session.info.get(_TRANSACTION)
    return transaction


async def begin(session: AsyncSession) -> Transaction | None:
    """Begin a transaction for a database session, and return it. The session must not have a transaction.

    The block of `unit_of_work` ends the transaction. For a session that `unit_of_work` has not opened, return None.

    Raises:
        DatabaseUnavailable: the server went away.

    """
    if _TRANSACTION not in session.info:
        return None
    with NamedErrors():
        connection = await greenlet_spawn(cast("AsyncEngine", session.bind).sync_engine.connect)
        transaction = Transaction(connection)
        await transaction.begin()
    session.info[_TRANSACTION] = transaction
    return transaction


def _take_transaction(session: AsyncSession) -> Transaction | None:
    transaction = transaction_of(session)
    if transaction is not None:
        session.info[_TRANSACTION] = None
    return transaction


class NamedErrors:
    """Context manager that converts errors of the driver asyncpg to the errors that a SQLAlchemy session would raise.

    An outage of the server becomes DatabaseUnavailable, and a violated constraint becomes IntegrityError.
    """

    # No generator, which would take three times as long.
    __slots__ = ()

    def __enter__(self) -> None:
        """Do nothing: errors are converted at the exit."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise `DatabaseUnavailable` for an outage of the server, and `IntegrityError` for a violated constraint.

        Any other error of the block is raised unchanged.
        """
        if not isinstance(error, Exception):
            return
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            raise IntegrityError(None, None, error) from error
        if isinstance(error, OSError) or is_database_outage(error):
            raise DatabaseUnavailable(str(error) or "not answered in time") from error


def _dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _connect(dialect: Any, _record: ConnectionPoolEntry, args: Any, parameters: Any) -> Any:
    """Connect, and convert errors of the operating system, which the driver passes on."""
    try:
        return dialect.connect(*args, **parameters)
    except (OSError, TimeoutError) as error:
        raise DatabaseUnavailable(str(error) or "timed out") from error


def _name_outage(context: ExceptionContext) -> None:
    """Raise `DatabaseUnavailable` in place of the driver's errors about outages."""
    error = context.original_exception
    if not isinstance(error, Exception):
        # A cancelled task. SQLAlchemy drops its connection, but the server is not away, and the task must end.
        return
    if isinstance(error, OSError | asyncpg.InternalClientError):
        # A rollback would be answered as little.
        context.is_disconnect = True
    # The other connections are checked when they are taken from the pool.
    context.invalidate_pool_on_disconnect = False
    if context.is_disconnect or is_database_outage(error):
        raise DatabaseUnavailable(str(error) or "not answered in time") from error


def _refuse_closed_connection(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Let the pool replace a connection with a closed socket, which asyncpg knows without a round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")
