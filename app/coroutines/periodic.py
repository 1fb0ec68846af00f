"""Repeat a step alongside other work. After a failure, the next attempt is at the usual time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.outages import is_outage

Step = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


async def wait(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait at most `seconds` until an event is set; None waits for ever. Return whether the event is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def attempt(step: Step, *, event: str) -> None:
    """Perform a step once; an error is logged as `event`, with its trace unless a server is away."""
    try:
        await step()
    except Exception as error:
        if is_outage(error):
            log.warning(event, error=repr(error))
        else:
            log.exception(event)


async def every(seconds: float, step: Step, *, event: str, until: asyncio.Event | None = None) -> None:
    """Wait `seconds`, perform a step, and repeat both until cancelled or `until` is set; log errors as `event`."""
    over = until or asyncio.Event()
    while not await wait(over, seconds):
        await attempt(step, event=event)


@asynccontextmanager
async def repeating(seconds: float, step: Step, *, event: str) -> AsyncGenerator[None, None]:
    """Perform a step in the background, as `every` does, until the block ends, which cancels it."""
    task = asyncio.create_task(every(seconds, step, event=event))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
