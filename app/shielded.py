"""Run work to completion even if the caller is cancelled, then re-raise the cancellation."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def shielded(
    work: Coroutine[Any, Any, _T],  # Any: values sent to the coroutine
    *,
    on_cancel: Callable[[], object] | None = None,
) -> _T:
    """Run a coroutine to its end and return its result or raise its error, even if the caller is cancelled meanwhile.

    That is raised then. `on_cancel` is called at each cancellation, for example to make the work end sooner.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            if on_cancel is not None:
                on_cancel()
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
