"""The one place that decides what is tried again, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from app.db import DatabaseUnavailable

__all__ = ["until_database_answers"]

Result = TypeVar("Result")

# In all somewhat less than a lease: later, the run is the sweeper's to decide on.
_DELAYS_SECONDS = (0.5, 1, 2, 4, 8, 16)

log = structlog.get_logger(__name__)


async def until_database_answers(step: Callable[[], Awaitable[Result]]) -> Result:
    """Do a step that may be repeated, again while the database is away; the last failure is raised."""
    for delay in _DELAYS_SECONDS:
        try:
            return await step()
        except DatabaseUnavailable as error:
            log.warning("database.unavailable", retry_in_seconds=delay, error=repr(error))
            await asyncio.sleep(delay)
    return await step()
