"""The periodic job that folds the rows of counts, so that lists have few to add up."""

from sqlalchemy import func, select

from app.db import unit_of_work
from app.models import TaskCount
from app.worker.jobs.fold_counts import fold_counts
from tests.fixtures.worker import Workshop
from tests.support.factories import make_task


async def test_chore_leaves_one_row_that_says_the_same(workshop: Workshop) -> None:
    async with unit_of_work(workshop.sessions) as session:
        for _ in range(5):
            await make_task(session, project=workshop.project, created_by=workshop.owner)

    await fold_counts(workshop.arq_context)
    await fold_counts(workshop.arq_context)

    sums = select(func.count(), func.sum(TaskCount.tasks), func.sum(TaskCount.changes))
    async with unit_of_work(workshop.sessions) as session:
        row = (await session.execute(sums.where(TaskCount.project_id == workshop.project.id))).one()
    assert tuple(row) == (1, 5, 5)
