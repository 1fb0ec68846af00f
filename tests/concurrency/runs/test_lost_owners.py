"""What a job may still write of a run that was cancelled."""

from functools import partial

import pytest

from app.db import SessionFactory
from app.models import Run
from app.services.run_facts import USAGE, note_fact
from tests.concurrency.races import perform
from tests.concurrency.runs.test_run_lifecycle import (
    OTHER,
    OWNER,
    STEPS,
    cancel,
    claimed,
    finish,
    make,
    queued,
    stored,
)

__all__ = ["claimed", "make", "queued"]


@pytest.mark.parametrize("next_owner", [None, OTHER])
async def test_job_that_had_lost_a_run_adds_nothing_to_it_when_it_is_cancelled(
    sessions: SessionFactory, claimed: Run, next_owner: str | None
) -> None:
    """Regression: its output and files stood in a run that another job had performed, or none."""
    await perform(sessions, STEPS["restart"](claimed))
    if next_owner:
        assert await perform(sessions, STEPS["claim by another"](claimed))
    await perform(sessions, cancel(claimed))
    for owner in (OWNER, OTHER):
        brought = finish(claimed, owner, output={"by": owner}, artifacts=[{"id": owner}])
        assert await perform(sessions, brought) is False
        noted = partial(note_fact, run_id=claimed.id, name=USAGE, value={"by": owner}, owner=owner)
        assert await perform(sessions, noted) is (owner == next_owner)
    row = await stored(sessions, claimed)
    is_kept = {"by": OTHER} if next_owner else None
    assert (row.output, row.facts.get(USAGE)) == (is_kept, is_kept)
    assert row.artifacts == ([{"id": OTHER}] if next_owner else [])
