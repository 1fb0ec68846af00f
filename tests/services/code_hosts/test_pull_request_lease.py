"""One process at a time writes about a branch; another waits, and not without end."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.github.github_errors import GitHubUnavailable
from app.db import SessionFactory
from app.models import Run, Task
from app.services.code_hosts.branch_records import record_branch
from app.services.code_hosts.pull_request_lease import sole_writer
from tests.services.code_hosts.test_branch_records import PUSHED
from tests.support.database.faults import refusing


async def test_busy_branch_is_not_waited_for_without_end(
    sessions: SessionFactory, session: AsyncSession, task: Task, run: Run
) -> None:
    """Regression: a run whose work was done stayed in its slot as long as others wrote about its branch."""
    await record_branch(session, task_id=task.id, run_id=run.id, pushed=PUSHED)
    await session.commit()
    async with sole_writer(sessions, "acme/app", PUSHED.branch):
        with pytest.raises(GitHubUnavailable, match="Other processes write about the branch"):
            async with sole_writer(sessions, "acme/app", PUSHED.branch, patience=timedelta()):
                pytest.fail("there are two writers")
    async with sole_writer(sessions, "acme/app", PUSHED.branch, patience=timedelta()):
        pass


async def test_writer_that_takes_too_long_is_an_outage_of_the_code_host(
    sessions: SessionFactory, session: AsyncSession, task: Task, run: Run
) -> None:
    """Regression: it was logged and reported as an unexpected error of the worker."""
    await record_branch(session, task_id=task.id, run_id=run.id, pushed=PUSHED)
    await session.commit()
    with pytest.raises(GitHubUnavailable, match="took too long"):
        async with sole_writer(sessions, "acme/app", PUSHED.branch):
            raise TimeoutError  # as its limit does


async def test_what_was_written_stays_so_if_the_lease_is_not_released(
    sessions: SessionFactory, engine: AsyncEngine, session: AsyncSession, task: Task, run: Run
) -> None:
    """Regression: a run was said to have pushed, and to have no pull request, although that was open."""
    await record_branch(session, task_id=task.id, run_id=run.id, pushed=PUSHED)
    await session.commit()
    async with AsyncExitStack() as faults, sole_writer(sessions, "acme/app", PUSHED.branch):
        await faults.enter_async_context(refusing(engine, "pushed_branches", code="P0001"))
    with pytest.raises(GitHubUnavailable, match="Other processes write about the branch"):
        async with sole_writer(sessions, "acme/app", PUSHED.branch, patience=timedelta()):
            pytest.fail("the lease has not lapsed")
