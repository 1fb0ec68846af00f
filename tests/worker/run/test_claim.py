"""Claims of runs, and what a lost acknowledgement of their commit changes: nothing."""

from sqlalchemy import select

from app.enums import RunStatus
from app.models import Run
from app.worker.run.claim import claim_run
from tests.fixtures.worker import Workshop
from tests.support.database.faults import unacknowledged_once


async def test_claim_whose_commit_is_not_acknowledged_is_the_only_one(workshop: Workshop) -> None:
    """Regression: the repetition claimed a second run, and the first waited for the end of its lease."""
    runs = [await workshop.queued_run("```say\nhi\n```") for _ in range(2)]

    with unacknowledged_once() as lost:
        claim = await claim_run(workshop.context, runs[0].id)

    assert lost
    assert claim is not None
    async with workshop.sessions() as session:
        held = await session.execute(
            select(Run.id, Run.lease_owner).where(Run.status == RunStatus.IN_PROGRESS)
        )
    assert held.all() == [(claim.run_id, claim.owner)]


async def test_repeated_claim_takes_the_next_run_if_the_first_try_claimed_none(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    first = await claim_run(workshop.context, run.id)

    assert first is not None
    assert await claim_run(workshop.context, run.id) is None
