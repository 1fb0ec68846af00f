"""Decisions of the sweep about runs without a worker: queued again, failed, or left alone."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.clients.run_events import RunEvents
from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Run, Task
from app.runtime import ProcessContext
from app.services.runs.lifecycle import RUN_LEASE, claim
from app.services.runs.recovery import recover_runs
from tests.support.clock import MovableClock
from tests.support.factories import make_run
from tests.support.stand_ins.fakes import RecordingQueue

Recover = Callable[..., Awaitable[int]]


@pytest.fixture
def recover(process: ProcessContext) -> Recover:
    """Sweep once; returns how many jobs were missing."""
    return partial(recover_runs, process)


async def status_of(sessions: SessionFactory, run: Run) -> str:
    async with sessions() as session:
        return (await session.execute(select(Run.status).where(Run.id == run.id))).scalar_one()


async def asked_for(sessions: SessionFactory, task: Task, clock: MovableClock, **overrides: Any) -> Run:
    async with unit_of_work(sessions) as session:
        return await make_run(session, task=task, dispatch_requested_at=clock(), **overrides)


async def test_queued_run_is_asked_for_again_after_a_grace_time(
    recover: Recover, sessions: SessionFactory, queue: RecordingQueue, task: Task, clock: MovableClock
) -> None:
    run = await asked_for(sessions, task, clock)

    assert await recover() == 0
    clock.advance(seconds=15)
    assert await recover() == 1

    assert [job.arguments for job in queue.jobs] == [{"run_id": str(run.id)}]


async def test_run_that_waits_in_the_queue_is_not_queued_twice(
    recover: Recover, sessions: SessionFactory, task: Task, clock: MovableClock
) -> None:
    await asked_for(sessions, task, clock)
    clock.advance(minutes=5)

    await recover()
    assert await recover() == 0


async def test_runs_that_a_limit_keeps_waiting_are_not_asked_for(
    recover: Recover,
    sessions: SessionFactory,
    queue: RecordingQueue,
    task: Task,
    clock: MovableClock,
    events: RunEvents,
) -> None:
    """Each sweep would otherwise queue a long line of jobs that find no work."""
    runs = []
    for _ in range(4):
        clock.advance(seconds=1)
        runs.append(await asked_for(sessions, task, clock))
    async with unit_of_work(sessions) as session:
        assert await claim(session, runs[0].id, owner="alive", limit=2, events=events)
    clock.advance(seconds=15)

    assert await recover(limit=2) == 1
    assert [job.arguments for job in queue.jobs] == [{"run_id": str(runs[1].id)}]
    assert await recover(limit=3) == 1


@pytest.mark.usefixtures("run")
async def test_run_that_was_not_asked_to_start_is_left_alone(
    recover: Recover, queue: RecordingQueue, clock: MovableClock
) -> None:
    clock.advance(days=1)

    assert await recover() == 0
    assert queue.jobs == []


async def test_lapsed_run_with_no_agent_started_is_queued_again(
    recover: Recover, sessions: SessionFactory, task: Task, clock: MovableClock, events: RunEvents
) -> None:
    run = await asked_for(sessions, task, clock)
    async with unit_of_work(sessions) as session:
        assert await claim(session, run.id, owner="lost", events=events)
    clock.advance(seconds=RUN_LEASE.total_seconds())

    assert await recover() == 1

    assert await status_of(sessions, run) == RunStatus.QUEUED
