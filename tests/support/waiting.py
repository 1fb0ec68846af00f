"""The only place where tests wait: for a condition, with a deadline, never for a length of time."""

import asyncio
import inspect
import os
import types
from collections.abc import Callable, Generator

from app.coroutines.periodic import wait

_PAUSE_SECONDS = 0.05


def patient(seconds: float) -> float:
    """Return a deadline in seconds for this machine: longer if more processes want its processors than there are.

    Give it a minute: a deadline that only a failure reaches costs nothing, and any machine may stand still for seconds.
    """
    return seconds * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


async def eventually(holds: Callable[[], object], *, within_seconds: float = 60) -> None:
    """Wait until the function or coroutine function `holds` returns a true value.

    For what gives no event to wait for, such as a row or another process.
    """
    nothing = asyncio.Event()
    async with asyncio.timeout(patient(within_seconds)):
        while not (await answer if inspect.isawaitable(answer := holds()) else answer):
            await wait(nothing, _PAUSE_SECONDS)


@types.coroutine
def next_round() -> Generator[None, None, None]:
    """Let every other task that is ready run: one round of the event loop, and no time."""
    yield
