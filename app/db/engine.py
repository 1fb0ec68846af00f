"""Create the database engine of a process. Connections that fail raise DatabaseUnavailable."""

from typing import Any

import asyncpg
import orjson
from sqlalchemy import ExceptionContext, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.concurrency import in_greenlet

from app.config import Settings
from app.outages import DatabaseUnavailable, is_database_outage, is_read_only

_STATEMENT_TIMEOUT_SECONDS = 30
_CONNECT_TIMEOUT_SECONDS = 5
_POOL_TIMEOUT_SECONDS = 10
_CONNECTION_LIFE_SECONDS = 1800
# Otherwise a host that vanishes in a transaction keeps its locks, and delays readers of the ledger, for two hours.
_LIMITS_OF_A_LOST_CLIENT = {
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


def create_engine(
    settings: Settings,
    *,
    application_name: str,
    statement_seconds: float = _STATEMENT_TIMEOUT_SECONDS,
    connect_seconds: float = _CONNECT_TIMEOUT_SECONDS,
    plan_once: bool = False,
) -> AsyncEngine:
    """Return a database engine with a connection pool for this process. It connects at its first use.

    A statement that takes longer than `statement_seconds` fails with DatabaseUnavailable; each host is asked for
    `connect_seconds`. With `plan_once` the server plans each statement once per connection, for all values, which saves
    most of the time of a short one; code that needs a plan for particular values sets `plan_cache_mode` in its
    transaction.
    """
    # JIT helps analytics; here it would only delay the first request by its compile time.
    server_settings = {"application_name": application_name, "jit": "off", **_LIMITS_OF_A_LOST_CLIENT}
    if plan_once:
        server_settings["plan_cache_mode"] = "force_generic_plan"
    engine = create_async_engine(
        settings.database_url,
        # SQLAlchemy sends no BEGIN or COMMIT: `transactions.py` does, by the driver.
        isolation_level="AUTOCOMMIT",
        # A unit of work has ended its transaction, so the rollback of the pool would only cost 8 microseconds.
        pool_reset_on_return=None,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        # Reuse the connection that was used last: it has prepared most statements. In turns, each would prepare all.
        pool_use_lifo=True,
        # A firewall may drop a connection that is idle for long, and neither end notices.
        pool_recycle=_CONNECTION_LIFE_SECONDS,
        json_serializer=_dump_json,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": connect_seconds,
            "command_timeout": statement_seconds,
            "server_settings": server_settings,
            **({} if settings.database_prepared_statements else _pgbouncer_options(application_name)),
        },
    )
    event.listen(engine.sync_engine, "do_connect", connect)
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)
    event.listen(engine.sync_engine, "handle_error", _name_outage)
    return engine


def _pgbouncer_options(application_name: str) -> dict[str, Any]:
    # PgBouncer needs statements without names, and refuses connections with settings that it does not know.
    return {
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": str,
        "server_settings": {"application_name": application_name},
    }


def _dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def connect(dialect: Any, _record: ConnectionPoolEntry, args: Any, parameters: Any) -> Any:
    """Connect to the database, for SQLAlchemy's `do_connect`. Raises DatabaseUnavailable."""
    if not in_greenlet():
        raise MissingGreenlet
    try:
        return _connect_to_any(dialect, args, parameters)
    except (OSError, TimeoutError) as error:
        raise DatabaseUnavailable(str(error) or "timed out") from error
    except dialect.loaded_dbapi.Error as error:
        # SQLAlchemy wraps the driver's errors for its own connections only, not for raw ones.
        if is_database_outage(error):
            raise DatabaseUnavailable(str(error)) from error
        raise DBAPIError(None, None, error) from error


def _connect_to_any(dialect: Any, args: Any, parameters: dict[str, Any]) -> Any:
    # The driver has one time limit for all hosts, which a silent first host would use up at each connect.
    parameters.setdefault("timeout", _CONNECT_TIMEOUT_SECONDS)
    hosts, ports = parameters.get("host"), parameters.get("port")
    if not (isinstance(hosts, list) and isinstance(ports, list)):
        return dialect.connect(*args, **parameters)
    refused: list[tuple[str, int]] = []
    for host, port in (places := list(zip(hosts, ports, strict=True))):
        try:
            connection = dialect.connect(*args, **parameters | {"host": host, "port": port})
        except Exception as error:
            refused.append((host, port))
            if len(refused) == len(places) or not (isinstance(error, OSError) or is_database_outage(error)):
                raise
        else:
            # The engine keeps these lists: next time it begins with the host that has answered.
            hosts[:], ports[:] = zip(*places[len(refused) :], *refused, strict=True)
            return connection
    raise DatabaseUnavailable("no host is named")


def _name_outage(context: ExceptionContext) -> None:
    error = context.original_exception
    if not isinstance(error, Exception):
        # The task was cancelled. SQLAlchemy drops the connection; it is no outage, and the task must end.
        return
    if isinstance(error, OSError | asyncpg.InternalClientError) or is_read_only(error):
        # The server would not answer a rollback either, or it is a standby now.
        context.is_disconnect = True
    # The other connections are checked when they are taken from the pool.
    context.invalidate_pool_on_disconnect = False
    if context.is_disconnect or is_database_outage(error):
        raise DatabaseUnavailable(str(error) or "not answered in time") from error


def _refuse_closed_connection(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")
