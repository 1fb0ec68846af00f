"""What a worker tries again, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import DatabaseUnavailable, SessionFactory, unit_of_work

__all__ = ["in_transaction", "repeat"]

Result = TypeVar("Result")

# In all somewhat less than a lease: later, the run is the sweeper's to decide on.
_DELAYS_SECONDS = (0.5, 1, 2, 4, 8, 16)

log = structlog.get_logger(__name__)


async def repeat(
    step: Callable[[], Awaitable[Result]], outage: type[Exception], delays: Sequence[float], event: str
) -> Result:
    """Do a step that may be repeated, again after an outage; the last failure is raised. `event` is logged for each."""
    for delay in delays:
        try:
            return await step()
        except outage as error:
            log.warning(event, retry_in_seconds=delay, error=repr(error))
            await asyncio.sleep(delay)
    return await step()


async def in_transaction(
    sessions: SessionFactory, step: Callable[[AsyncSession], Awaitable[Result]]
) -> Result:
    """Do a step that may be repeated in a transaction, again while the database is away; the last failure is raised."""

    async def attempt() -> Result:
        async with unit_of_work(sessions) as session:
            return await step(session)

    return await repeat(attempt, DatabaseUnavailable, _DELAYS_SECONDS, "database.unavailable")
