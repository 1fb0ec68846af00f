"""The retries after an outage: one policy for each kind of work.

A run's own files wait for the object store by another rule, a total time (worker/run/store_retry.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.github import GitHubUnavailable
from app.clients.object_store import ObjectStoreUnavailable
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable

Result = TypeVar("Result")

# The longest delay that a code host may ask for: people wait for the run.
_LONGEST_DELAY_SECONDS = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The transient error, the delays between tries in seconds, and the event to log."""

    error: type[Exception]
    delays: tuple[float, ...]
    event: str


# In total somewhat less than a lease: after that, the sweep decides about the run.
DATABASE: Final = RetryPolicy(DatabaseUnavailable, (0.5, 1, 2, 4, 8, 16), "database.unavailable")
# In total less than the lifetime of a log's lock, so that no other writer can have taken it.
LOG_LOCK: Final = RetryPolicy(DatabaseUnavailable, (0.1, 0.3, 1, 2, 4), "run_log.lock_not_released")
ATTACHMENT: Final = RetryPolicy(ObjectStoreUnavailable, (1, 2, 4, 8), "attachment.not_fetched")
CODE_HOST: Final = RetryPolicy(GitHubUnavailable, (1, 4, 15), "code_host.unavailable")


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
        while True:
            try:
                return await step()
            except self._policy.error as error:
                if not self._delays:
                    raise
                delay = self._delays.pop(0)
                if isinstance(error, GitHubUnavailable) and error.retry_after is not None:
                    delay = error.retry_after
                    if delay > _LONGEST_DELAY_SECONDS:
                        raise
                log.warning(self._policy.event, retry_in_seconds=delay, error=repr(error))
                await asyncio.sleep(delay)


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
