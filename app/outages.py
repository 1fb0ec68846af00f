"""Sort what drivers raise into outages and defects, in one place.

An outage speaks of a server, or of the way to it; the same step may work in a moment, so it is repeated, or answered
with 503. Anything else speaks of what was asked, and is either refused or a defect.
"""

from typing import ClassVar

import asyncpg
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as adapter
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Classes and codes of SQLSTATE that speak of the server: connections, resources, an operator, failover, its disk.
_SERVER = ("08", "53", "57", "58", "25006", "25P03")
# Another transaction was in the way: deadlocks, serialization, lock timeouts. Repeating is the documented remedy.
_CONFLICT = ("40", "55P03")
# A value that no column can keep: a string or a number that is too large, a document that is too large or too deep.
_VALUE = ("22001", "22003", "54000", "54001")
# How the driver refuses to use a connection that the server has ended.
_CLOSED = "connection is closed"
# What SQLAlchemy calls a session after its connection broke within a transaction.
_BROKEN_TRANSACTION = "8s2b"


class Outage(Exception):
    """A server that this service depends on does not answer; the same step may work in a moment."""

    server: ClassVar[str] = "server"


class DatabaseUnavailable(Outage):
    """The database does not answer; the same transaction may work in a moment, and has changed nothing so far."""

    server = "database"


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error of any driver, or one made of it, is an outage."""
    if isinstance(error, Outage | RedisConnectionError | RedisTimeoutError | ReadOnlyError):
        return True
    return is_database_outage(error)


def is_database_outage(error: BaseException | None) -> bool:
    """Return whether what SQLAlchemy or asyncpg raised speaks of the database, not of the statement.

    The failures of a socket are the caller's to judge: they do not say which server they are of.
    """
    match error:
        case DatabaseUnavailable() | PoolTimeoutError():
            return True
        case asyncpg.InternalClientError() | adapter.InternalClientError():
            # Raised for answers that were cut off. The driver does not know what to expect next.
            return True
        case asyncpg.InterfaceError() | adapter.InterfaceError():
            return _CLOSED in str(error)
        case PendingRollbackError():
            return error.code == _BROKEN_TRANSACTION
        case DBAPIError():
            return error.connection_invalidated or is_database_outage(error.orig)
        case _:
            return _sqlstate(error).startswith((*_SERVER, *_CONFLICT))


def is_value_refused(error: BaseException) -> bool:
    """Return whether the database cannot keep a value that it was given."""
    return _sqlstate(error.orig if isinstance(error, DBAPIError) else error) in _VALUE


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""
