"""Engine, sessions and the unit of work. The only file that commits.

One request or one job step is one transaction. Effects on the outside world (a job, an event) are registered with
`after_commit` and run once the transaction is safely over; a rollback drops them. They may be lost in a crash, so
the row that asks for the effect is written in the same transaction and a sweeper finishes what was lost.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from types import MappingProxyType
from typing import Any, cast

import asyncpg
import orjson
import structlog
from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn
from typing_extensions import override

from app.config import Settings
from app.outages import DatabaseUnavailable, is_database_outage

SessionFactory = async_sessionmaker[AsyncSession]
Hook = Callable[[], Awaitable[None]]

_HOOKS = "after_commit_hooks"
# Of a session that a unit of work ends; holds the transaction that the driver has begun for it, if it has.
_TRANSACTION = "driver_transaction"
_STATEMENT_TIMEOUT_SECONDS = 30
_CONNECT_TIMEOUT_SECONDS = 5
_POOL_TIMEOUT_SECONDS = 10

# What comes out of a session; a socket may also break while a new connection is prepared.
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
    """Return an engine with a pool of this process; nothing is connected yet.

    A statement that takes longer than `statement_seconds` is given up: the server counts as away. With `plan_once` the
    server plans a statement once for each connection and for any values, which is most of what short ones take; who
    needs a plan for certain values says so in their transaction.
    """
    # JIT pays for analytics; here it would only delay a first request by its compile time.
    server_settings = {"application_name": application_name, "jit": "off"}
    if plan_once:
        server_settings["plan_cache_mode"] = "force_generic_plan"
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": _CONNECT_TIMEOUT_SECONDS,
            "command_timeout": statement_seconds,
            "server_settings": server_settings,
            **({} if settings.database_prepared_statements else _pooled(application_name)),
        },
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)
    event.listen(engine.sync_engine, "handle_error", _name_outage)
    return engine


def _pooled(application_name: str) -> dict[str, Any]:
    """Return the arguments for connections through a pooler, where each transaction may be in another server session.

    Statements have no name there, and a pooler like pgbouncer refuses connections that ask for what it does not know.
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
    """Return the factory of sessions that do not reload rows after a commit; each has what `info` holds."""
    return async_sessionmaker(
        engine, expire_on_commit=False, autoflush=False, sync_session_class=_JoiningSession, info=dict(info)
    )


@asynccontextmanager
async def unit_of_work(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """Yield a session; commit when the block ends well, then run the after-commit hooks; roll back otherwise.

    Raises:
        DatabaseUnavailable: the server went away, or no connection could be had in time.

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
                # Not even a second cancellation may keep a connection from going back.
                await asyncio.shield(asyncio.create_task(_close(session)))
    except _DRIVER_ERRORS as error:
        if isinstance(error, ConnectionError) or is_database_outage(error):
            raise DatabaseUnavailable(str(error)) from error
        raise
    await _run(hooks)


async def release(session: AsyncSession) -> None:
    """Commit and hand the connection back, so that the caller may wait for the outside world.

    The session stays usable: its next statement begins a new transaction.
    """
    await _run(await _commit(session))


def after_commit(session: AsyncSession, hook: Hook) -> None:
    """Run `hook` once this session's transaction is committed; a failure there is logged and swallowed."""
    session.info.setdefault(_HOOKS, []).append(hook)


async def _commit(session: AsyncSession) -> list[Hook]:
    # A session that was not used has nothing to end, and what it would take to end it costs as much as a statement.
    if session.in_transaction():
        await session.commit()
    if transaction := _take_transaction(session):
        await transaction.commit()
    hooks: list[Hook] = session.info.pop(_HOOKS, [])
    return hooks


async def _close(session: AsyncSession) -> None:
    await session.close()
    if transaction := _take_transaction(session):
        # What the server cannot be asked to take back it takes back by itself, when the connection is closed.
        with suppress(DatabaseUnavailable):
            await transaction.roll_back()


async def _run(hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            await hook()
        except Exception:
            # The transaction is over: whatever fails here must not turn its answer into an error.
            log.exception("db.after_commit_failed")


class Transaction:
    """A transaction that the driver itself begins and ends, at a fraction of what that takes a session.

    Statements of the session join it on the same connection, so there is one commit for all. `commit` and `roll_back`
    give the connection back, and are called once.
    """

    __slots__ = ("_connection", "_driver", "_is_joined")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = cast("asyncpg.Connection", connection.connection.driver_connection)
        self._is_joined = False

    async def begin(self) -> None:
        """Begin it."""
        try:
            await self._driver.execute("BEGIN")
        except BaseException:
            self._give_up()
            raise

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        """Perform a statement in it and return its rows."""
        try:
            rows: Any = await self._driver.fetch(sql, *arguments)
        except (OSError, asyncpg.InternalClientError):
            # A rollback would be answered as little.
            self._connection.invalidate()
            raise
        return cast("Sequence[Mapping[str, Any]]", rows)

    def join(self) -> Connection:
        """Return the connection for a session; whatever that says, the transaction ends here."""
        if not self._is_joined:
            # Has SQLAlchemy send no BEGIN, COMMIT and ROLLBACK of its own.
            self._connection.execution_options(isolation_level="AUTOCOMMIT")
            self._is_joined = True
        return self._connection

    async def commit(self) -> None:
        """Have what was written last."""
        await self._end("COMMIT")

    async def roll_back(self) -> None:
        """Take back what was written."""
        if self._connection.invalidated:
            self._connection.close()
        else:
            await self._end("ROLLBACK")

    async def _end(self, statement: str) -> None:
        try:
            with named_outages():
                await self._driver.execute(statement)
        except BaseException:
            self._give_up()
            raise
        self._connection.close()

    def _give_up(self) -> None:
        """Close the connection: the next one to take it must not find a transaction."""
        self._connection.invalidate()
        self._connection.close()


class _JoiningSession(Session):
    """A session that joins the transaction that the driver has begun for it."""

    @override
    def get_bind(self, *arguments: Any, **named: Any) -> Engine | Connection:
        transaction: Transaction | None = self.info.get(_TRANSACTION)
        return super().get_bind(*arguments, **named) if transaction is None else transaction.join()


def transaction_of(session: AsyncSession) -> Transaction | None:
    """Return the transaction that the driver has begun for a session, None if it has not."""
    transaction: Transaction | None = session.info.get(_TRANSACTION)
    return transaction


async def begin(session: AsyncSession) -> Transaction | None:
    """Begin the transaction of a session that has not begun one; None if no unit of work would end it."""
    if _TRANSACTION not in session.info:
        return None
    with named_outages():
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


@contextmanager
def named_outages() -> Generator[None, None, None]:
    """Raise `DatabaseUnavailable` for what the driver raises then."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or is_database_outage(error):
            raise DatabaseUnavailable(str(error) or "not answered in time") from error
        raise


def _dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _connect(dialect: Any, _record: ConnectionPoolEntry, args: Any, parameters: Any) -> Any:
    """Connect, and name the failures that the driver leaves to the operating system."""
    try:
        return dialect.connect(*args, **parameters)
    except (OSError, TimeoutError) as error:
        raise DatabaseUnavailable(str(error) or "timed out") from error


def _name_outage(context: ExceptionContext) -> None:
    """Raise what says that the database is away, for whatever the driver raises then."""
    error = context.original_exception
    if not isinstance(error, Exception):
        # A cancelled task. SQLAlchemy gives up its connection, but the server is not away, and the task must end.
        return
    if isinstance(error, OSError | asyncpg.InternalClientError):
        # A rollback would be answered as little.
        context.is_disconnect = True
    # Whether the other connections broke too shows when they are taken from the pool.
    context.invalidate_pool_on_disconnect = False
    if context.is_disconnect or is_database_outage(error):
        raise DatabaseUnavailable(str(error) or "not answered in time") from error


def _refuse_closed_connection(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Have the pool reconnect when the server went away, at no round trip: asyncpg knows that its socket closed."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")
