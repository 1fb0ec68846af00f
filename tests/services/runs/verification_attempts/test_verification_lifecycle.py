"""The order in which attempts to check what runs delivered are performed."""

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Verdict
from app.models import Task, Verification
from app.services.runs.verification_attempts import verification_lifecycle
from tests.support.factories import make_project, make_task
from tests.support.verification import make_verified_run


async def test_no_project_keeps_the_runs_of_others_from_their_end(session: AsyncSession, task: Task) -> None:
    """Regression: attempts were performed in the order of their creation, those of runs that were over too."""
    other = await make_task(session, project=await make_project(session), created_by=None)
    waits = [
        # A re-run of one that is over, then four deliveries.
        await make_verified_run(session, task=each)
        for each in (task, task, task, other, task)
    ]
    for number, run in enumerate(waits):
        values = {"created_at": utcnow() - timedelta(minutes=9 - number)}
        changed = update(Verification).where(Verification.run_id == run.id).values(**values)
        await session.execute(changed.values(delivery=None) if number == 0 else changed)
    await make_verified_run(session, task=other, verdict=Verdict.REFUTED)

    rerun, first, second, of_other, third = [run.id for run in waits]
    claimed = [await verification_lifecycle.claim(session, owner=f"job {number}") for number in range(6)]
    assert [each and each.run_id for each in claimed] == [first, of_other, second, third, rerun, None]
    # One whose commit was not heard.
    again = await verification_lifecycle.claim(session, owner="job 4")
    assert again is not None
    assert again.run_id == rerun
