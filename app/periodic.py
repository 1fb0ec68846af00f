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
    """Perform a step once. If it raises an error, write a log event named `event`, and do not raise the error.

    If the error is an outage of a server, the log event is a warning. Otherwise it has the stack trace.
    """
    try:
        await step()
    except Exception as error:
        if is_outage(error):
            log.warning(event, error=repr(error))
        else:
            log.exception(event)


async def every(seconds: float, step: Step, *, event: str, until: asyncio.Event | None = None) -> None:
    """Wait `seconds`, perform a step, and repeat both until cancelled, or until `until` is set.

    If a step raises an error, the error is written to the log as `event`. If `until` is set during a step, that step is
    completed.
    """
    over = until or asyncio.Event()
    while not await wait(over, seconds):
        await attempt(step, event=event)


@asynccontextmanager
async def repeating(seconds: float, step: Step, *, event: str) -> AsyncGenerator[None, None]:
    """Return a context manager that performs a step in the background every `seconds` until the block ends.

    The first step begins after `seconds`. If a step raises an error, the error is written to the log as `event`, and
    the step is repeated as usual. A step in progress at the end of the block is cancelled.
    """
    task = asyncio.create_task(every(seconds, step, event=event))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
