"""Repeat a step beside other work whatever its failures: after each of them, the next try is at the usual time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.outages import is_outage

Step = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


async def attempt(step: Step, *, event: str) -> None:
    """Perform a step once; an error is logged as `event`: an outage as a warning, any other with its stack."""
    try:
        await step()
    except Exception as error:
        if is_outage(error):
            log.warning(event, error=repr(error))
        else:
            log.exception(event)


async def every(seconds: float, step: Step, *, event: str, until: asyncio.Event | None = None) -> None:
    """Perform a step after each `seconds`, until cancelled, or until `until` is set; errors as in `attempt`.

    A step that is under way when `until` is set is completed.
    """
    over = until or asyncio.Event()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await over.wait()
                return
        await attempt(step, event=event)


@asynccontextmanager
async def repeating(seconds: float, step: Step, *, event: str) -> AsyncGenerator[None, None]:
    """Perform a step after each `seconds` while the block lasts, as `every`; its end cancels the step."""
    task = asyncio.create_task(every(seconds, step, event=event))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
