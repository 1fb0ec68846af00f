"""The one place where tests wait: for a condition, with a deadline, never for a length of time."""

import asyncio
import os
import types
from collections.abc import Awaitable, Callable, Generator

__all__ = ["eventually", "next_round", "patient"]

_PAUSE_SECONDS = 0.05


def patient(seconds: float) -> float:
    """Return a deadline as this machine needs it: more where more processes want its processors than there are."""
    return seconds * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_seconds: float = 20) -> None:
    """Return once `holds` does; for what gives no event to wait for, such as a row or another process."""
    nothing = asyncio.Event()
    async with asyncio.timeout(patient(within_seconds)):
        while not await holds():
            try:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await nothing.wait()
            except TimeoutError:
                continue


@types.coroutine
def next_round() -> Generator[None, None, None]:
    """Let everybody else who is ready go on first: one round of the loop, and no time."""
    yield
