"""Repeat a step after a transient error, such as an outage of the database, by a policy of `policies.py`.

After an error that concerns one of many items, repeat the step for the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
    """Repeats failed steps of one piece of work according to a retry policy.

    All steps together may use each delay of the policy once; each has the total time of the policy.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._delays = list(policy.delays)

    async def call(self, step: Callable[[], Awaitable[Result]]) -> Result:
        """Run a step and return its result.

        After an error that the policy names, wait for the next delay of the policy and run the step again, as long as
        the budget has delays left.

        Raises:
            Exception: an error that the policy does not name. The step is not repeated after it.
            Exception: the last error of the step, when no delay or time is left, or the server asks for a longer delay
                than the policy allows.

        """
        loop = asyncio.get_running_loop()
        failures, ends_at = 0, loop.time() + self._policy.within
        while True:
            try:
                return await step()
            except self._policy.errors as error:
                failures += 1
                delay = self._delay(failures, error)
                if delay is None or loop.time() + delay > ends_at:
                    raise
                log.warning(self._policy.event, retry_in_seconds=delay, error=repr(error))
            await self._wait(delay)

    def _delay(self, _failures: int, error: Exception) -> float | None:
        """Return the delay in seconds after this failure of a step, from 1; None for no further try."""
        delay = self._delays.pop(0) if self._delays else None
        longest = self._policy.longest_retry_after
        requested: float | None = None if longest is None else getattr(error, "retry_after", None)
        if delay is None or longest is None or requested is None:
            return delay
        return requested if requested <= longest else None

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def until_database_answers(step: Callable[[], Awaitable[Result]]) -> Result:
    """Run a step and return its result; repeat the step up to six times while the database is unavailable.

    The delays between the tries grow, and take half a minute in total.

    Raises:
        DatabaseUnavailable: the database was still unavailable at the last try.

    """
    return await RetryBudget(DATABASE).call(step)


async def in_transaction(
    sessions: SessionFactory, step: Callable[[AsyncSession], Awaitable[Result]]
) -> Result:
    """Run a step in a new transaction and return the result of the step.

    While the database is unavailable, repeat the step, each time in another transaction.

    Raises:
        DatabaseUnavailable: the database was still unavailable at the last try.

    """

    async def attempt() -> Result:
        async with unit_of_work(sessions) as session:
            return await step(session)

    return await until_database_answers(attempt)


async def by_halves(
    items: Sequence[Item],
    step: Callable[[Sequence[Item]], Awaitable[None]],
    *,
    event: str,
    name: Callable[[Item], Mapping[str, object]],
) -> None:
    """Perform a step for all items at once; if it fails, for each half of them, so that one bad item stops no other.

    A bad item is found in few steps. If the step fails for it alone, the error is logged.

    Args:
        items: the items. If there are none, the step is not performed.
        step: the step. If it raises an error, it must have changed nothing.
        event: the name of the log event.
        name: returns the fields of the log event that name an item.

    Raises:
        Exception: an outage of a server. It concerns all items, so the step is not repeated for halves.

    """
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
