"""The job that recovers runs: by the limits of the settings, and repeatable."""

import asyncio
from typing import Any

import pytest

from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Run
from app.services.retrying.policies import RUN_LEASE
from app.services.run_log.log_writing import hold_lock
from app.services.runs.run_lifecycle import claim, mark_agent_started
from app.worker.jobs.recover_runs import recover_runs
from tests.fixtures.worker import Workshop
from tests.support.clock import MovableClock
from tests.support.factories import make_run, make_task
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot


def with_settings(workshop: Workshop, **changes: Any) -> Workshop:
    settings = workshop.context.process.settings.model_copy(update=changes)
    return workshop.with_process(settings=settings)


async def outside_run(workshop: Workshop) -> Run:
    """Make a run in progress that an agent outside our workers performs, and that was reported on just now."""
    async with unit_of_work(workshop.sessions) as session:
        task = await make_task(session, project=workshop.project, created_by=workshop.owner)
        return await make_run(session, task=task, status=RunStatus.IN_PROGRESS)


async def test_runs_without_a_job_are_enqueued_once_within_the_limit_of_their_project(
    workshop: Workshop, clock: MovableClock
) -> None:
    limited = with_settings(workshop, project_concurrency=2)
    runs = []
    for number in range(3):
        runs.append(await workshop.queued_run(f"echo {number}"))
        clock.advance(seconds=1)
    clock.advance(seconds=15)

    await recover_runs(limited.arq_context)
    await recover_runs(limited.arq_context)

    assert [job.arguments["run_id"] for job in workshop.queue.jobs] == [str(run.id) for run in runs[:2]]


async def test_run_that_lost_its_worker_is_enqueued(workshop: Workshop, clock: MovableClock) -> None:
    run = await workshop.queued_run("echo hello")
    async with unit_of_work(workshop.sessions) as session:
        assert await claim(session, owner="lost", events=workshop.context.process.events)
    clock.advance(seconds=RUN_LEASE.total_seconds() - 1)
    await recover_runs(workshop.arq_context)
    assert (await workshop.read(run)).status == RunStatus.IN_PROGRESS
    clock.advance(seconds=1)

    await recover_runs(workshop.arq_context)

    assert (await workshop.read(run)).status == RunStatus.QUEUED
    assert [job.arguments for job in workshop.queue.jobs] == [{"run_id": str(run.id)}]


@pytest.mark.parametrize(("seconds", "status"), [(60, RunStatus.FAILED), (61, RunStatus.IN_PROGRESS)])
async def test_run_of_an_outside_agent_fails_after_the_silence_of_the_settings(
    workshop: Workshop, clock: MovableClock, seconds: int, status: RunStatus
) -> None:
    run = await outside_run(workshop)
    clock.advance(minutes=1)

    await recover_runs(with_settings(workshop, outside_agent_silence_seconds=seconds).arq_context)

    assert (await workshop.read(run)).status == status


async def test_run_of_an_outside_agent_may_be_silent_for_ever_if_the_setting_is_zero(
    workshop: Workshop, clock: MovableClock
) -> None:
    run = await outside_run(workshop)
    clock.advance(days=7)

    await recover_runs(with_settings(workshop, outside_agent_silence_seconds=0).arq_context)

    assert (await workshop.read(run)).status == RunStatus.IN_PROGRESS


async def test_stop_of_the_worker_lets_it_log_which_commands_of_a_failed_run_were_dropped(
    workshop: Workshop, clock: MovableClock
) -> None:
    """No later recovery would: it does not find this run."""
    run = await workshop.queued_run("echo hello")
    pilot = Pilot(workshop, run)
    async with unit_of_work(workshop.sessions) as session:
        assert await claim(session, owner="lost", events=workshop.context.process.events)
        assert await mark_agent_started(session, run.id, owner="lost")
    await pilot.say("go on")
    clock.advance(seconds=RUN_LEASE.total_seconds())

    async def has_failed() -> bool:
        return (await workshop.read(run)).status == RunStatus.FAILED

    ref = RunRef(run.project_id, run.task_id, run.id)
    async with hold_lock(workshop.sessions, ref, None):
        job = asyncio.create_task(recover_runs(workshop.arq_context))
        await eventually(has_failed)
        job.cancel()

    with pytest.raises(asyncio.CancelledError):
        await job
    assert await pilot.receipts() == [("user_message", "dropped", "The run is failed.")]
