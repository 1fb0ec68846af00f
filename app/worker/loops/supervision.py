"""Keeps the loops of a worker running, whatever fails in them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

import structlog

from app.services.retrying.policies import LOOP_SECONDS

log = structlog.get_logger(__name__)


async def keep_running(name: str, loop: Callable[[], Awaitable[Never]]) -> Never:
    """Run an endless loop until cancelled; after an unexpected error, log it and begin the loop again.

    This loses nothing, since each loop finds its work in the database. To end the worker would break off its
    runs.
    """
    while True:
        try:
            await loop()
        except Exception:
            log.exception("worker.loop_failed", loop=name)
            await asyncio.sleep(LOOP_SECONDS)
