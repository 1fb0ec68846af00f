"""Run work to completion even if its caller is cancelled: for one caller, or for all who want it meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
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


class JoinedWork:
    """Work by key, done once for all who ask for it while it is under way."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the end of the work of this key, which begins if none is under way."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work(), context=Context())
            task.add_done_callback(lambda _: self._tasks.pop(key))
        await asyncio.shield(task)
