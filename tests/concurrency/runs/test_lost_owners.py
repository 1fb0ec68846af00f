"""What a job that has lost a run may still write of it, and what stays of the job's work."""

from functools import partial

import pytest

from app.db import SessionFactory
from app.models import Run
from app.models.runs.run_facts import CHANGES, USAGE, note_fact
from app.services.retrying.policies import RUN_LEASE
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
from tests.support.clock import MovableClock

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


FIGURES = {"files": 1}


@pytest.mark.parametrize("way", ["cancel", "complete", "restart", "hand back", "recover"])
async def test_figures_of_a_workspace_end_with_it(
    sessions: SessionFactory, claimed: Run, clock: MovableClock, way: str
) -> None:
    """Regression: a run that was cancelled after its worker had died showed lines of which nothing was stored."""
    note = partial(note_fact, run_id=claimed.id, name=CHANGES, value=FIGURES, owner=OWNER)
    assert await perform(sessions, note)
    if way == "recover":
        clock.now += RUN_LEASE
    await perform(sessions, STEPS[way](claimed))
    assert await perform(sessions, note) is False
    assert CHANGES not in (await stored(sessions, claimed)).facts


async def test_cancelled_run_gets_the_figures_of_what_its_agent_has_made(
    sessions: SessionFactory, claimed: Run
) -> None:
    await perform(sessions, cancel(claimed))
    await perform(sessions, finish(claimed, state={CHANGES: FIGURES}))
    assert (await stored(sessions, claimed)).facts[CHANGES] == FIGURES
