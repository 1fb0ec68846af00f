"""Classify the errors of drivers as outages, refusals or defects.

An outage concerns a server or the connection to it. The same step may succeed in a moment, so it is repeated, or the
response is 503. Any other error concerns the request, and is either a refusal or a defect.

Outage                      a server that this service depends on does not respond
└── DatabaseUnavailable     the database does not respond, or refuses the transaction for now
"""

from typing import ClassVar, Final

import asyncpg
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as adapter
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# What a session raises. Not OSError, which other code raises too: it is converted where the driver is called.
DATABASE_ERRORS: Final = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
DRIVER_ERRORS: Final = (*DATABASE_ERRORS, RedisError)
# What a Redis command that was not performed raises.
REDIS_ERRORS: Final = (RedisError, OSError)
# Redis refuses all writes for now: it cannot save its data, for example to a full disk, or lacks its replicas.
_REFUSES_WRITES = ("MISCONF ", "NOREPLICAS ")
# Classes and codes of SQLSTATE about the server: connections, resources, an operator, failover, its disk.
_READ_ONLY = "25006"
_SERVER = ("08", "53", "57", "58", _READ_ONLY, "25P03")
# Conflicts with other transactions: deadlocks, serialization, lock timeouts. Repeating is the documented remedy.
_CONFLICT = ("40", "55P03")
# Values that no column can store: a string or number too large, a document too large or too deep.
_VALUE = ("22001", "22003", "54000", "54001")
# The driver's message if the server has closed the connection.
_CLOSED = "connection is closed"
# SQLAlchemy's code for a session after its connection broke within a transaction.
_BROKEN_TRANSACTION = "8s2b"


class Outage(Exception):
    server: ClassVar[str] = "server"


class DatabaseUnavailable(Outage):
    server = "database"


def is_outage(error: BaseException | None) -> bool:
    """Return whether an exception means that a server, such as PostgreSQL or Redis, does not respond."""
    match error:
        case Outage() | RedisConnectionError() | RedisTimeoutError() | ReadOnlyError() | OutOfMemoryError():
            return True
        case ResponseError():
            return str(error).startswith(_REFUSES_WRITES)
        case _:
            return is_database_outage(error)


def is_database_outage(error: BaseException | None) -> bool:
    """Return whether an exception of SQLAlchemy or asyncpg means an outage or a conflict, not a faulty statement."""
    match error:
        case DatabaseUnavailable() | PoolTimeoutError():
            return True
        case asyncpg.InternalClientError() | adapter.InternalClientError():
            # Raised for an incomplete response, after which the driver cannot use the connection.
            return True
        case asyncpg.InterfaceError() | adapter.InterfaceError():
            return _CLOSED in str(error)
        case PendingRollbackError():
            return error.code == _BROKEN_TRANSACTION
        case DBAPIError():
            return error.connection_invalidated or is_database_outage(error.orig)
        case _:
            return _sqlstate(error).startswith((*_SERVER, *_CONFLICT))


def is_read_only(error: BaseException) -> bool:
    """Return whether a server of the database refuses to write, as one that has become a standby does."""
    return _sqlstate(error) == _READ_ONLY


def is_value_refused(error: BaseException) -> bool:
    """Return whether an error of the database driver means that a value is too large to be stored."""
    return _sqlstate(error.orig if isinstance(error, DBAPIError) else error) in _VALUE


def violated_constraint(error: BaseException) -> str | None:
    """Return the name of the constraint or unique index that refused a row, or None for any other error."""
    cause = error.driver_exception if isinstance(error, DBAPIError) else error
    return cause.constraint_name if isinstance(cause, asyncpg.IntegrityConstraintViolationError) else None


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""
