"""One process at a time writes about a branch; another waits, and not without end."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.models import Run, Task
from app.services.code_hosts.branch_records import record_branch
from app.services.code_hosts.pull_request_lease import sole_writer
from tests.services.code_hosts.test_branch_records import PUSHED


async def test_busy_branch_is_not_waited_for_without_end(
    sessions: SessionFactory, session: AsyncSession, task: Task, run: Run
) -> None:
    """Regression: a run whose work was done stayed in its slot as long as others wrote about its branch."""
    await record_branch(session, task_id=task.id, run_id=run.id, pushed=PUSHED)
    await session.commit()
    async with sole_writer(sessions, "acme/app", PUSHED.branch):
        with pytest.raises(TimeoutError):
            async with sole_writer(sessions, "acme/app", PUSHED.branch, patience=timedelta()):
                pytest.fail("there are two writers")
    async with sole_writer(sessions, "acme/app", PUSHED.branch, patience=timedelta()):
        pass
