"""Retry to store the files of a run, for a limited time in which the worker keeps its claim of the run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain, repeat
from typing import TypeVar

import structlog

from app.services.retrying.policies import RUN_FILES, RUN_FILES_BRIEF_SECONDS

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class StoreRetryBudget:
    """One retry budget, in seconds, for everything that a run stores; it starts with the first failure."""

    def __init__(self, seconds: float, *, cut_short: asyncio.Event) -> None:
        """Allow `seconds` in total; once `cut_short` is set, only the time of a short outage."""
        self._seconds = seconds
        self._cut_short = cut_short
        self._until: float | None = None
        self._is_shortened = False
        self._is_short = False

    async def call(self, step: Callable[[], Awaitable[Result]]) -> Result:
        """Perform a repeatable step, and retry it after outages within the budget. Raises the last failure."""
        pauses = chain(RUN_FILES.delays, repeat(RUN_FILES.delays[-1]))
        while True:
            try:
                return await step()
            except RUN_FILES.errors as error:
                left = self._left()
                if left <= 0:
                    raise
                pause = min(next(pauses), left)
                log.warning(RUN_FILES.event, retry_in_seconds=pause, error=repr(error))
            await self._pause(pause)

    def shorten(self) -> None:
        """Wait only briefly from now on."""
        self._is_shortened = True

    def allow_final_entries(self) -> None:
        """Allow a short time even if the budget is used up, so that the log can still report the losses."""
        if self._until is not None and not self._is_short:
            self._until = max(self._until, asyncio.get_running_loop().time() + RUN_FILES_BRIEF_SECONDS)

    def _left(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._seconds
        if (self._is_shortened or self._cut_short.is_set()) and not self._is_short:
            self._is_short = True
            self._until = min(self._until, now + RUN_FILES_BRIEF_SECONDS)
        return self._until - now

    async def _pause(self, seconds: float) -> None:
        if self._is_short:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._cut_short.wait()
