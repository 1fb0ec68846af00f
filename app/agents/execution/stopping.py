"""One idea: what a run does after its agent ends soon once the run is to stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.agents.errors import AgentStopped

__all__ = ["hurried"]

_SECONDS = 2.0
# What a cancelled run leaves is kept, and gathering it takes longer than that in a large repository.
_SECONDS_FROM_THE_START = 10.0


@asynccontextmanager
async def hurried(stop: asyncio.Event) -> AsyncIterator[None]:
    """Give the body two seconds from when `stop` is set, or ten from its start if that was before.

    Raises AgentStopped when they are over.
    """
    limit = asyncio.timeout(None)

    seconds = _SECONDS_FROM_THE_START if stop.is_set() else _SECONDS

    async def hurry() -> None:
        await stop.wait()
        limit.reschedule(asyncio.get_running_loop().time() + seconds)

    try:
        async with limit:
            hurrying = asyncio.create_task(hurry())
            try:
                yield
            finally:
                hurrying.cancel()
                await asyncio.gather(hurrying, return_exceptions=True)
    except TimeoutError:
        if not limit.expired():
            raise
        raise AgentStopped("The run was stopped.") from None
