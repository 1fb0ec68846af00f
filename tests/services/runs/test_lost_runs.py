"""Decisions of the sweep about runs without a worker: queued again, failed, or left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing
from app.clients.storage.storage_keys import RunRef
from app.db import SessionFactory, unit_of_work
from app.enums import CommandMethod, CommandStatus, RunStatus
from app.ids import new_id
from app.models import Run, RunCommand, Task
from app.models.runs.run_facts import CHANGES, note_fact
from app.runtime import ProcessContext
from app.services.retrying.policies import RUN_LEASE
from app.services.run_log.log_writing import hold_lock
from app.services.runs import command_delivery
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_lifecycle import claim, mark_agent_started
from tests.support.clock import MovableClock
from tests.support.database.faults import refusing_some
from tests.support.factories import make_run
from tests.support.runs import read_object
from tests.support.stand_ins.fakes import RecordingQueue
from tests.support.stand_ins.outage import interruptible
from tests.support.waiting import eventually

Recover = Callable[..., Awaitable[int]]


@pytest.fixture
def recover(process: ProcessContext) -> Recover:
    """Sweep once; returns how many jobs were missing."""
    return partial(recover_runs, process)


async def status_of(sessions: SessionFactory, run: Run) -> str:
    async with unit_of_work(sessions) as session:
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
        assert await claim(session, owner="alive", limit=2, events=events)
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
        assert await claim(session, owner="lost", events=events)
    clock.advance(seconds=RUN_LEASE.total_seconds())

    assert await recover() == 1

    assert await status_of(sessions, run) == RunStatus.QUEUED


@pytest.mark.parametrize("state", ["lapsed", "silent"])
async def test_run_that_cannot_be_recovered_keeps_no_other_from_it(
    recover: Recover,
    sessions: SessionFactory,
    engine: AsyncEngine,
    task: Task,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
    state: str,
) -> None:
    """One transaction handled all of them: each sweep failed as a whole."""
    lease = {"lease_owner": "lost", "lease_expires_at": clock.now} if state == "lapsed" else {}
    runs = [await asked_for(sessions, task, clock, status=RunStatus.IN_PROGRESS, **lease) for _ in range(3)]
    clock.advance(minutes=2)

    async with refusing_some(engine, "runs", f"NEW.id = '{runs[1].id}'"):
        await recover(silence=timedelta(minutes=1))

    ended = RunStatus.QUEUED if state == "lapsed" else RunStatus.FAILED
    statuses = [await status_of(sessions, run) for run in runs]
    assert statuses == [ended, RunStatus.IN_PROGRESS, ended]
    [logged] = [record for record in caplog.records if "run.not_recovered" in record.message]
    assert str(runs[1].id) in logged.message


async def lose(sessions: SessionFactory, task: Task, clock: MovableClock, events: RunEvents) -> Run:
    run = await asked_for(sessions, task, clock)
    async with unit_of_work(sessions) as session:
        assert await claim(session, owner="lost", events=events)
        assert await mark_agent_started(session, run.id, owner="lost")
        session.add(
            RunCommand(
                id=new_id(),
                run_id=run.id,
                method=CommandMethod.USER_MESSAGE,
                params={"content": "hi"},
                status=CommandStatus.ACCEPTED,
                created_at=clock(),
            )
        )
    clock.advance(seconds=RUN_LEASE.total_seconds())
    return run


@pytest.fixture
async def lost(sessions: SessionFactory, task: Task, clock: MovableClock, events: RunEvents) -> Run:
    """A run that lost its worker after its agent began, and before it took a message."""
    return await lose(sessions, task, clock, events)


def ref_of(run: Run) -> RunRef:
    return RunRef(run.project_id, run.task_id, run.id)


async def says_what_was_dropped(process: ProcessContext, run: Run) -> bool:
    try:
        log = await read_object(process.store, ref_of(run).log_key)
    except ObjectMissing:
        return False
    return b'"status":"dropped"' in log


@pytest.mark.parametrize("away", [False, True], ids=["store", "no store"])
async def test_log_of_a_failed_run_says_which_commands_were_dropped(
    process: ProcessContext,
    sessions: SessionFactory,
    lost: Run,
    caplog: pytest.LogCaptureFixture,
    *,
    away: bool,
) -> None:
    """Without the store the sweep goes on; followers got the receipts already."""
    async with interruptible(process.settings.s3_endpoint_url or "") as between:
        settings = process.settings.model_copy(update={"s3_endpoint_url": between.url})
        async with ObjectStore(settings) as store:
            if away:
                await between.refuse()
            await recover_runs(replace(process, store=store))

    assert await status_of(sessions, lost) == RunStatus.FAILED
    warnings = [record for record in caplog.records if "run.receipts_not_kept" in record.message]
    assert len(warnings) == away
    if not away:
        assert await says_what_was_dropped(process, lost)


@pytest.mark.parametrize("busy", [0, 1])
async def test_log_that_cannot_be_written_delays_no_other(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    clock: MovableClock,
    events: RunEvents,
    busy: int,
) -> None:
    """Regression: receipts were written one after another, and each could take 20 seconds."""
    runs = [await lose(sessions, task, clock, events) for _ in range(2)]

    async with hold_lock(sessions, ref_of(runs[busy]), None):
        sweep = asyncio.create_task(recover_runs(process))
        await eventually(lambda: says_what_was_dropped(process, runs[1 - busy]))
    await sweep

    assert await says_what_was_dropped(process, runs[busy])


async def test_all_receipts_have_one_time_limit(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    clock: MovableClock,
    events: RunEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = [await lose(sessions, task, clock, events) for _ in range(2)]

    async with interruptible(process.settings.s3_endpoint_url or "") as between:
        settings = process.settings.model_copy(update={"s3_endpoint_url": between.url})
        async with ObjectStore(settings) as store:
            await between.hang()
            await recover_runs(replace(process, store=store), receipt_seconds=0)

    [one, other] = [record for record in caplog.records if "run.receipts_not_kept" in record.message]
    assert all(str(run.id) in one.message + other.message for run in runs)


@pytest.mark.parametrize("has_agent", [False, True], ids=["queued again", "failed"])
async def test_log_of_a_lost_run_says_which_messages_people_took_back_from_its_worker(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    clock: MovableClock,
    events: RunEvents,
    *,
    has_agent: bool,
) -> None:
    """Regression: the log never said so if the worker had not read of it."""
    run = await asked_for(sessions, task, clock)
    async with unit_of_work(sessions) as session:
        assert await claim(session, owner="lost", events=events)
        if has_agent:
            assert await mark_agent_started(session, run.id, owner="lost")
        message = {"id": new_id(), "run_id": run.id, "method": CommandMethod.USER_MESSAGE}
        session.add(RunCommand(**message, params={}, status=CommandStatus.ACCEPTED, created_at=clock()))
        await session.flush()
        await command_delivery.clear_queue(session, run.id, None)
    clock.advance(seconds=RUN_LEASE.total_seconds() + 10)

    await recover_runs(process)

    assert await says_what_was_dropped(process, run)


class UnreachableQueue(RecordingQueue):
    @override
    async def enqueue(self, *_: Any, **__: Any) -> bool:
        raise RedisConnectionError("planted")


async def test_log_of_a_failed_run_is_complete_though_redis_is_away(
    process: ProcessContext, sessions: SessionFactory, task: Task, clock: MovableClock, lost: Run
) -> None:
    """Regression: a run beside it could not be queued again, and no later sweep wrote the receipts."""
    waiting = await asked_for(sessions, task, clock)
    clock.advance(seconds=15)

    with pytest.raises(RedisConnectionError):
        await recover_runs(replace(process, queue=UnreachableQueue()))

    assert await status_of(sessions, waiting) == RunStatus.QUEUED
    assert await says_what_was_dropped(process, lost)


async def test_figures_of_lost_work_are_not_shown(
    process: ProcessContext, sessions: SessionFactory, lost: Run
) -> None:
    """Regression: a run that had lost its worker offered changes, of which nothing was stored."""
    async with unit_of_work(sessions) as session:
        assert await note_fact(session, lost.id, CHANGES, {"files": 1}, owner="lost")

    await recover_runs(process)

    async with unit_of_work(sessions) as session:
        run = await session.get_one(Run, lost.id)
    assert (run.status, CHANGES in run.facts) == (RunStatus.FAILED, False)
    assert run.error_message is not None
    assert "the work of its agent" in run.error_message
