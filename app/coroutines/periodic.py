"""Run steps alongside other work: once, or again and again at intervals, also after a failure."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
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
    async with alongside(every(seconds, step, event=event)):
        yield


@asynccontextmanager
async def alongside(*work: Coroutine[object, None, object]) -> AsyncGenerator[None, None]:
    """Run coroutines in the background until the block ends, which cancels them; their errors are dropped."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await cancel_all(tasks)


async def cancel_all(tasks: Iterable[asyncio.Task[object]]) -> None:
    """Cancel tasks, and wait until all have ended; their results and errors are dropped."""
    cancelled = [*tasks]
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
