"""Keeps the loops of a worker running after any error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

import structlog

from app.coroutines.periodic import wait
from app.outages import DatabaseUnavailable
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


async def repeat(
    name: str,
    step: Callable[[], Awaitable[float]],
    woken: asyncio.Event,
    *,
    gather: float,
    pause: float = LOOP_SECONDS,
) -> Never:
    """Repeat a step until cancelled: after the seconds that it returns, or `gather` seconds after `woken` is set."""
    unavailable, failed = f"{name}.database_unavailable", f"{name}.step_failed"
    while True:
        try:
            seconds = await step()
        except DatabaseUnavailable as error:
            log.warning(unavailable, error=repr(error))
            await asyncio.sleep(pause)
        except Exception:
            # One defect must not end all deliveries of this process.
            log.exception(failed)
            await asyncio.sleep(pause)
        else:
            await wait(woken, seconds)
            await asyncio.sleep(gather)
            woken.clear()
