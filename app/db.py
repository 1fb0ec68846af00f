"""Engine, sessions and the unit of work. The only file that commits.

One request or one job step is one transaction. Effects on the outside world (a job, an event) are registered with
`after_commit` and run once the transaction is safely over; a rollback drops them. They may be lost in a crash, so
the row that asks for the effect is written in the same transaction and a sweeper finishes what was lost.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import orjson
import structlog
from sqlalchemy import ExceptionContext, event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.config import Settings
from app.outages import DatabaseUnavailable, is_database_outage

__all__ = [
    "DatabaseUnavailable",
    "SessionFactory",
    "after_commit",
    "create_engine",
    "create_session_factory",
    "release",
    "unit_of_work",
]

SessionFactory = async_sessionmaker[AsyncSession]
Hook = Callable[[], Awaitable[None]]

_HOOKS = "after_commit_hooks"
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
    """Return an engine whose pool belongs to this process; nothing is connected yet.

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
    """Return what differs behind a pooler whose next transaction may be in another session of the server.

    Statements have no name there, and a pooler like pgbouncer refuses connections that ask for what it does not know.
    """
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
        "server_settings": {"application_name": application_name},
    }


def create_session_factory(engine: AsyncEngine) -> SessionFactory:
    """Return the factory of sessions that do not reload rows after a commit."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)


@asynccontextmanager
async def unit_of_work(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """Yield a session; commit when the block ends well, then run the after-commit hooks; roll back otherwise.

    Raises:
        DatabaseUnavailable: the server went away, or no connection could be had in time.

    """
    session = sessions()
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
            if session.in_transaction() or session.identity_map:
                # Not even a second cancellation may keep a connection from going back.
                await asyncio.shield(asyncio.create_task(session.close()))
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
    hooks: list[Hook] = session.info.pop(_HOOKS, [])
    return hooks


async def _run(hooks: list[Hook]) -> None:
    for hook in hooks:
        try:
            await hook()
        except Exception:
            # The transaction is over: whatever fails here must not turn its answer into an error.
            log.exception("db.after_commit_failed")


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
