"""Load a value once for all concurrent callers, and keep it for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Coalesced(Generic[Value]):
    """A value that is loaded once for all callers that wait for it at the same time.

    After that, it is kept for `seconds`.
    """

    def __init__(self, *, seconds: float = 0) -> None:
        self._seconds = seconds
        self._loading: asyncio.Task[Value] | None = None
        self._kept: Value | None = None
        self._kept_until = 0.0

    async def get(self, load: Callable[[], Awaitable[Value]]) -> Value:
        """Return the kept value. If there is none or its time is over, call `load` and return the result.

        If a call of `load` is in progress already, wait for its result instead of calling it again. If `load` raises an
        error, the error is raised to each waiting caller. The cancellation of a caller does not cancel `load`.
        """
        loop = asyncio.get_running_loop()
        if self._kept is not None and loop.time() < self._kept_until:
            return self._kept
        if self._loading is None:
            self._loading = loop.create_task(self._load(load))
        return await asyncio.shield(self._loading)

    async def _load(self, load: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await load()
        finally:
            self._loading = None
        if self._seconds:
            self._kept = value
            self._kept_until = asyncio.get_running_loop().time() + self._seconds
        return value
