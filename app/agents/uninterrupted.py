"""One idea: what must be finished is finished, and the cancellation is delivered afterwards."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["uninterrupted"]

_T = TypeVar("_T")


async def uninterrupted(
    work: Coroutine[Any, Any, _T],
) -> _T:  # Any: what a coroutine is sent is nobody's concern
    """Run a coroutine to its end however often the caller is cancelled meanwhile; then raise that."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
