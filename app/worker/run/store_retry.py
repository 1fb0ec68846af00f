"""Limits how long a worker retries to store the files of a run, while it keeps its claim on the run."""

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat

from typing_extensions import override

from app.coroutines.periodic import wait
from app.services.retrying.policies import RUN_FILES, RUN_FILES_BRIEF_SECONDS
from app.services.retrying.retries import RetryBudget


class StoreRetryBudget(RetryBudget):
    """The time for which a worker may retry to store the files of a run, counted from the first failure."""

    def __init__(
        self, seconds: float, *, cut_short: asyncio.Event, brief: float = RUN_FILES_BRIEF_SECONDS
    ) -> None:
        super().__init__(RUN_FILES)
        self._seconds = seconds
        self._cut_short = cut_short
        self._brief = brief
        self._until: float | None = None
        self._is_shortened = False
        self._is_short = False

    def shorten(self) -> None:
        """Reduce the remaining time to that of a short outage of the store."""
        self._is_shortened = True

    def limit(self) -> asyncio.Timeout:
        """End the block after a short time, with TimeoutError, if `shorten` was called."""
        return asyncio.timeout(self._brief if self._is_shortened else None)

    def allow_final_entries(self) -> None:
        """Allow a short time even if none is left, so that the log can still name the files that were lost."""
        if self._until is not None and not self._is_short:
            self._until = max(self._until, asyncio.get_running_loop().time() + self._brief)

    @override
    def _delays_of_call(self) -> Iterator[float]:
        for delay in chain(RUN_FILES.delays, repeat(RUN_FILES.delays[-1])):
            if (left := self._left()) <= 0:
                return
            yield min(delay, left)

    def _left(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._seconds
        if (self._is_shortened or self._cut_short.is_set()) and not self._is_short:
            self._is_short = True
            self._until = min(self._until, now + self._brief)
        return self._until - now

    @override
    async def _wait(self, seconds: float) -> None:
        if self._is_short:
            await super()._wait(seconds)
            return
        await wait(self._cut_short, seconds)
