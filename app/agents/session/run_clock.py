"""The wall-clock limit of a run's work; the clock stops while the agent waits for a person."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

# The total time that a run may wait for people.
MAX_WAITING = timedelta(hours=24)


class WorkingTime:
    """Limits the working time of a run: the block ends with TimeoutError. Time in `pause` does not count."""

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit.total_seconds()
        self._timeout = asyncio.timeout(None)
        self._began_at = self._ends_at = 0.0
        self._ended_at: float | None = None
        self._is_ended = False
        self._is_open = False
        self._pauses = 0
        self._paused_at = 0.0
        self._waited = 0.0

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._began_at = _now()
        self._ends_at = self._began_at + self._limit
        self._timeout.reschedule(self._ends_at)
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        self._ended_at = _now()
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def is_over(self) -> bool:
        """Whether the block was ended by the limit or by `end`."""
        return self._timeout.expired()

    @property
    def worked(self) -> timedelta:
        assert self._ended_at is not None
        return timedelta(seconds=self._ended_at - self._began_at - self._waited)

    def end(self) -> None:
        """End the `async with` block of this object now, even during a `pause`: the block ends with TimeoutError."""
        self._is_ended = True
        self._reschedule(_now())

    @contextmanager
    def pause(self, at_most: timedelta) -> Iterator[float]:
        """Stop the clock; yield the longest time to wait for a person, which the block itself must enforce."""
        if self._pauses == 0:
            self._paused_at = _now()
            if not self._is_ended:
                self._reschedule(None)
        self._pauses += 1
        left = MAX_WAITING.total_seconds() - self._waited
        try:
            yield max(min(at_most.total_seconds(), left), 0.0)
        finally:
            self._pauses -= 1
            if self._pauses == 0:
                waited = _now() - self._paused_at
                self._waited += waited
                self._ends_at += waited
                if not self._is_ended:
                    self._reschedule(self._ends_at)

    def _reschedule(self, when: float | None) -> None:
        if self._is_open and not self._timeout.expired():
            self._timeout.reschedule(when)


def _now() -> float:
    return asyncio.get_running_loop().time()
