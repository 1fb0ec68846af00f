"""Branches that runs pushed, as they are stored at the end of a run."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.github.github_answers import PullRequest
from app.enums import EventType
from app.models import Event, Run, Task
from app.services.code_hosts.branch_records import BranchRecord, record_branch

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
