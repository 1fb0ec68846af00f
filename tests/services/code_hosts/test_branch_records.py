"""Branches that runs pushed, as they are stored at the end of a run."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.github.github_answers import PullRequest
from app.db import SessionFactory
from app.enums import EventType
from app.models import Event, Run, Task
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from app.services.code_hosts.pull_request_lease import sole_writer

FIRST, SECOND = (f"https://github.test/acme/app/pull/{number}" for number in (7, 8))

PUSHED = BranchRecord(
    repository="acme/app",
    integration_id=None,
    branch="taskbeacon/b",
    base_branch="main",
    head_sha="a" * 40,
)


async def test_pull_request_that_is_stored_again_is_no_second_event(
    session: AsyncSession, task: Task, run: Run
) -> None:
    """Regression: the end of a run, repeated after a lost acknowledgement, recorded a second event."""
    for url in (None, FIRST, FIRST, SECOND):
        opened = None if url is None else PullRequest(number=int(url[-1]), url=url, body="")
        await record_branch(
            session, task_id=task.id, run_id=run.id, pushed=replace(PUSHED, pull_request=opened)
        )

    events = await session.scalars(
        select(Event.data).where(Event.type == EventType.RUN_PULL_REQUEST_OPENED).order_by(Event.seq)
    )
    assert [data["pr_url"] for data in events] == [FIRST, SECOND]


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
