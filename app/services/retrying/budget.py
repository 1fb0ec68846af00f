"""Repeat steps after transient errors, by the policies of `policies.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.github.api import GitHubUnavailable
from app.db import SessionFactory, unit_of_work
from app.services.retrying.policies import CODE_HOST_LONGEST_DELAY, DATABASE, RetryPolicy

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class RetryBudget:
    """The delays of a policy, shared by all steps of a piece of work."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._delays = list(policy.delays)

    async def call(self, step: Callable[[], Awaitable[Result]]) -> Result:
        """Run a step that may be repeated and return its result, honouring the host's Retry-After.

        Raises:
            Exception: the step's last error, once the budget is spent or the host asks for too long a delay; any error
                that the policy does not name, at once.

        """
        failures = 0
        while True:
            try:
                return await step()
            except self._policy.errors as error:
                failures += 1
                delay = self._delay(failures, error)
                if delay is None:
                    raise
                log.warning(self._policy.event, retry_in_seconds=delay, error=repr(error))
            await self._wait(delay)

    def _delay(self, _failures: int, error: Exception) -> float | None:
        """Return the delay after this failure of the step, counted from 1; None if the step is not repeated."""
        delay = self._delays.pop(0) if self._delays else None
        if delay is None or not isinstance(error, GitHubUnavailable) or error.retry_after is None:
            return delay
        return error.retry_after if error.retry_after <= CODE_HOST_LONGEST_DELAY else None

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def until_database_answers(step: Callable[[], Awaitable[Result]]) -> Result:
    """Run a step that may be repeated and return its result; raise its last error if the database stays away."""
    return await RetryBudget(DATABASE).call(step)


async def in_transaction(
    sessions: SessionFactory, step: Callable[[AsyncSession], Awaitable[Result]]
) -> Result:
    """Run a step that may be repeated in a transaction, again while the database is away; raise its last error."""

    async def attempt() -> Result:
        async with unit_of_work(sessions) as session:
            return await step(session)

    return await until_database_answers(attempt)
