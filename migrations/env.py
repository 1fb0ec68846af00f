"""Alembic's environment: one migration at a time, over asyncpg, never waiting long for a lock.

Two deploys that migrate at once queue up behind an advisory lock; a migration that would have to wait behind a long
transaction tries again later instead of blocking every request behind it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

import click
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, event, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.config import get_settings
from app.db.engine import connect
from app.models import Base
from app.models.base import UtcDateTime
from migrations.indexes import limits

_ADVISORY_LOCK = 0x7A5C_BEAC
_PAUSE_SECONDS = 0.2
# SQLSTATE of deadlocks and of locks that are not available in time.
_CONFLICTS = ("40P01", "55P03")
_PATIENCE_SECONDS = 300.0


def _render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our column types as what they are in the database: a revision must not depend on today's code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _configure(**options: Any) -> None:
    context.configure(
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        render_item=_render_item,
        transaction_per_migration=True,
        **options,
    )


class _Patience:
    """How long an upgrade repeats what it did not complete: its seconds, from the last revision that it did."""

    def __init__(self) -> None:
        self._seconds: float = context.config.attributes.get("patience_seconds", _PATIENCE_SECONDS)
        self._clock: Callable[[], float] = context.config.attributes.get("clock", time.monotonic)
        self.renew()

    def renew(self, **_: Any) -> None:
        self._ends_at = self._clock() + self._seconds

    def is_over(self) -> bool:
        return self._clock() > self._ends_at


def _take_turn(connection: Connection, patience: _Patience) -> None:
    """Wait for the advisory lock with patience, asking for it again and again. Raises CommandError.

    A statement that waits for it would be one that building an index concurrently waits for, for ever.
    """
    is_waiting = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
        connection.rollback()
        if patience.is_over():
            raise CommandError("another migration of this database has not ended. Try again when it has.")
        if not is_waiting:
            click.echo("Waiting for another migration of this database to end.", err=True)
            is_waiting = True
        time.sleep(_PAUSE_SECONDS)


def _migrate(connection: Connection, patience: _Patience) -> None:
    _take_turn(connection, patience)
    for name, limit in limits().items():
        connection.execute(text(f"SET {name} = '{limit}'"))
    connection.commit()
    _configure(connection=connection, on_version_apply=patience.renew)
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_online(url: str) -> None:
    engine = create_async_engine(url, poolclass=pool.NullPool)
    event.listen(engine.sync_engine, "do_connect", connect)
    patience = _Patience()
    try:
        while True:
            try:
                # Closing the connection is what gives the advisory lock back.
                async with engine.connect() as connection:
                    return await connection.run_sync(_migrate, patience)
            except DBAPIError as error:
                is_conflict = getattr(error.orig, "sqlstate", None) in _CONFLICTS
                if not is_conflict or patience.is_over():
                    raise
            # Requests that waited behind it get their turn; then it goes on from the revision that it did not complete.
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        await engine.dispose()


def _run() -> None:
    url = context.config.attributes.get("database_url") or get_settings().database_url
    if context.is_offline_mode():
        _configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
        with context.begin_transaction():
            context.run_migrations()
    else:
        asyncio.run(_migrate_online(url))


_run()
