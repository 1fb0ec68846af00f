"""Repeat a step after a transient error, by a policy of `policies.py`; isolate the failing item of a batch."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.outages import is_outage
from app.services.retrying.policies import DATABASE, RetryPolicy

Result = TypeVar("Result")
Item = TypeVar("Item")

log = structlog.get_logger(__name__)


class RetryBudget:
    """Repeats failed steps of one piece of work: together they use each delay of the policy once."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._delays = list(policy.delays)

    async def call(
        self,
        step: Callable[[], Awaitable[Result]],
        *,
        report: Callable[[Exception], Awaitable[None]] | None = None,
    ) -> Result:
        """Run a step, and again after errors that the policy names; `report` gets the first. Raises the last one."""
        loop = asyncio.get_running_loop()
        delays, ends_at, has_failed = self._delays_of_call(), loop.time() + self._policy.within, False
        while True:
            try:
                return await step()
            except self._policy.errors as error:
                delay = self._as_asked(next(delays, None), error)
                if delay is None or loop.time() + delay > ends_at:
                    raise
                log.warning(self._policy.event, retry_in_seconds=delay, error=repr(error))
                if report is not None and not has_failed:
                    await report(error)
                has_failed = True
            await self._wait(delay)

    def _delays_of_call(self) -> Iterator[float]:
        while self._delays:
            yield self._delays.pop(0)

    def _as_asked(self, delay: float | None, error: Exception) -> float | None:
        longest = self._policy.longest_retry_after
        requested: float | None = None if longest is None else getattr(error, "retry_after", None)
        if delay is None or longest is None or requested is None:
            return delay
        return requested if requested <= longest else None

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def in_transaction(
    sessions: SessionFactory, step: Callable[[AsyncSession], Awaitable[Result]]
) -> Result:
    """Run a step in a new transaction, and in another one while the database is unavailable (policy `DATABASE`)."""

    async def attempt() -> Result:
        async with unit_of_work(sessions) as session:
            return await step(session)

    return await RetryBudget(DATABASE).call(attempt)


async def by_halves(
    items: Sequence[Item],
    step: Callable[[Sequence[Item]], Awaitable[None]],
    *,
    event: str,
    name: Callable[[Item], Mapping[str, object]],
) -> None:
    """Perform a step for all items, and if it fails, for each half, so that a bad item does not stop the others."""
    if not items:
        return
    try:
        await step(items)
    except Exception as error:
        if is_outage(error):
            raise
        if len(items) == 1:
            log.exception(event, **name(items[0]))
            return
    else:
        return
    half = len(items) // 2
    await by_halves(items[:half], step, event=event, name=name)
    await by_halves(items[half:], step, event=event, name=name)
