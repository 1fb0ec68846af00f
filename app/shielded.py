"""One idea: what must be finished is finished, and the cancellation is delivered afterwards."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["shielded"]

_T = TypeVar("_T")


async def shielded(
    work: Coroutine[Any, Any, _T],  # Any: what a coroutine is sent is nobody's concern
    *,
    told: Callable[[], object] | None = None,
) -> _T:
    """Run a coroutine to its end however often the caller is cancelled meanwhile; then raise that.

    `told` is called for each cancellation: the work may want to come to its end sooner.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            if told is not None:
                told()
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
