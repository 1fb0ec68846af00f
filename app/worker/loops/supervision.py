"""Keeps the loops of a worker running, whatever fails in them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

import structlog

from app.services.retrying.policies import LOOP_SECONDS

log = structlog.get_logger(__name__)


async def keep_running(
    name: str, loop: Callable[[], Awaitable[None]], *, pause: float = LOOP_SECONDS
) -> Never:
    """Run an endless loop until cancelled; if it fails or returns, log that and start it again."""
    while True:
        try:
            await loop()
            log.error("worker.loop_ended", loop=name)
        except Exception:
            log.exception("worker.loop_failed", loop=name)
        await asyncio.sleep(pause)
