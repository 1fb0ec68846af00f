"""Repeat a step alongside other work. After a failure, the next attempt is at the usual time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.outages import is_outage

Step = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


async def attempt(step: Step, *, event: str) -> None:
    """Perform a step once. If it raises an error, log the error as `event` and do not raise it.

    An outage is logged as a warning, any other error with its stack.
    """
    try:
        await step()
    except Exception as error:
        if is_outage(error):
            log.warning(event, error=repr(error))
        else:
            log.exception(event)


async def every(seconds: float, step: Step, *, event: str, until: asyncio.Event | None = None) -> None:
    """Wait `seconds`, perform a step, and repeat this until cancelled, or until `until` is set.

    An error of a step is logged as by `attempt`. A step that is in progress when `until` is set is completed.
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
    """While the block lasts, repeat a step in the background as `every` does.

    When the block ends, a step in progress is cancelled.
    """
    task = asyncio.create_task(every(seconds, step, event=event))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
