"""Run a coroutine to its end although its caller is cancelled; share one run among concurrent callers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial
from typing import Generic, TypeVar

_T = TypeVar("_T")


async def shielded(
    work: Coroutine[object, None, _T],
    *,
    on_cancel: Callable[[], object] | None = None,
) -> _T:
    """Run a coroutine to its end, even if the caller is cancelled: that calls `on_cancel`, and is raised at the end."""
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


class JoinedWork(Generic[_T]):
    """Work by key, done once for all who ask for it while it is under way, and for `seconds` from its beginning."""

    def __init__(self, *, seconds: float = 0) -> None:
        self._seconds = seconds
        self._tasks: dict[str, asyncio.Task[_T]] = {}

    async def join(self, work: Callable[[], Coroutine[object, None, _T]], *, key: str = "") -> _T:
        """Return the result of the work of this key, or raise its error. It begins if none is under way or kept."""
        task = self._tasks.get(key)
        if task is None:
            until = asyncio.get_running_loop().time() + self._seconds
            # In an empty context, so that its log lines name none of its callers.
            task = self._tasks[key] = asyncio.create_task(work(), context=Context())
            task.add_done_callback(partial(self._end, key, until))
        return await asyncio.shield(task)

    def _end(self, key: str, until: float, task: asyncio.Task[_T]) -> None:
        loop = task.get_loop()
        # Reads the exception first: if all callers have left, asyncio would log that it was never retrieved.
        if not task.cancelled() and task.exception() is None and until > loop.time():
            loop.call_at(until, self._tasks.pop, key)
        else:
            del self._tasks[key]


class SharedTask(Generic[_T]):
    """A task that runs while a set has members: it begins with the first one, and ends with the last."""

    _task: asyncio.Task[None]

    def __init__(self, members: set[_T]) -> None:
        self._members = members
        self._are_over = asyncio.Event()

    @asynccontextmanager
    async def beside(
        self, member: _T, work: Callable[[asyncio.Event], Coroutine[object, None, None]]
    ) -> AsyncGenerator[_T, None]:
        """Add a member until the block ends. If it is the first, run `work`: its event is set after the last one."""
        if not self._members:
            self._task = asyncio.create_task(work(self._are_over), context=Context())
        self._members.add(member)
        try:
            yield member
        finally:
            self._members.discard(member)
            if not self._members:
                # Not cancelled, even with the caller: that would break the connection of a query that is under way.
                self._are_over.set()
                self._are_over = asyncio.Event()
                await asyncio.wait({self._task})
