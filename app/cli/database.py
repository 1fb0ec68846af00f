"""Open the database for a command; report its failures, and what a service lacks, in one line."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from app.cli.settings import check_catalog, service_settings
from app.config import Settings, unknown_variables
from app.db import SessionFactory, create_engine, create_session_factory
from app.db.schema_revision import OutdatedSchema, require_current_schema
from app.db.shared_clock import ClockSkewed, require_machine_time, synchronise
from app.outages import DatabaseUnavailable

Result = TypeVar("Result")

_UNDEFINED = frozenset({"42P01", "42703"})  # table, column


def with_sessions(settings: Settings, work: Callable[[SessionFactory], Awaitable[Result]]) -> Result:
    """Run async `work` with a session factory in a new event loop and the shared clock; outages end the command."""

    async def run() -> Result:
        engine = create_engine(settings, application_name="taskbeacon-cli")
        try:
            sessions = create_session_factory(engine)
            await synchronise(sessions)
            return await work(sessions)
        finally:
            await engine.dispose()

    with database_failures(settings):
        return asyncio.run(run())


def checked_settings() -> Settings:
    """Return the settings of a service, after a check of the agent catalog, the clock and the schema."""
    settings = service_settings()
    for name, nearest in unknown_variables().items():
        meant = {"meant": nearest} if nearest else {}
        structlog.get_logger(__name__).warning("settings.unknown", variable=name, **meant)
    check_catalog(settings)

    async def check(sessions: SessionFactory) -> None:
        await require_machine_time(sessions)
        await require_current_schema(sessions)

    with_sessions(settings, check)
    return settings


@contextmanager
def database_failures(settings: Settings) -> Iterator[None]:
    """End the command with one line on standard error if the block raises a database failure."""
    address = _address(settings)
    try:
        yield
    except (ClockSkewed, OutdatedSchema) as error:
        raise click.ClickException(f"{error} (database {address})") from error
    except DBAPIError as error:
        raise click.ClickException(_describe(error, address)) from error
    except (DatabaseUnavailable, OSError) as error:
        reason = str(error) or "no answer"
        raise click.ClickException(f"cannot reach the database at {address}: {reason}") from error


def _address(settings: Settings) -> str:
    url = make_url(settings.database_url)
    host, port = (url.query.get(name) for name in ("host", "port"))
    return f"{url.host or host or 'localhost'}:{url.port or port or 5432}/{url.database or ''}"


def _describe(error: DBAPIError, address: str) -> str:
    if getattr(error.orig, "sqlstate", None) in _UNDEFINED:
        return f"the database at {address} lacks the schema of this release: run `taskbeacon migrate` first"
    # Only the first line: further lines may quote values.
    reason = str(error.orig).partition("\n")[0]
    return f"the database at {address} refuses: {reason}"
