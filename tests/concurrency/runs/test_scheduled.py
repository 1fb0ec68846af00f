"""Scheduled runs begin once, whoever else acts on them at that moment: between real connections."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import asyncpg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Event, Project, Run, User
from app.runtime import ProcessContext
from app.schemas.runs.run import StartIn
from app.services.runs import run_lifecycle
from app.services.runs.new_runs import start_run, start_scheduled_runs
from app.services.tasks.batches import delete_task
from tests.concurrency.races import race
from tests.support.clock import MovableClock
from tests.support.database.plans import generic_plan
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_task
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents, RecordingQueue

MakeRun = Callable[[], Awaitable[Run]]

queue_scheduled = partial(run_lifecycle.queue_scheduled, most=100, events=RecordingEvents())
_MANY = """
INSERT INTO runs (id, task_id, project_id, status, environment, created_at, updated_at, completed_at, scheduled_at)
SELECT gen_random_uuid(), task_id, project_id, 'completed', environment, created_at, updated_at, updated_at, scheduled_at
FROM runs, generate_series(2, 5000)
"""


@pytest.fixture
def make(sessions: SessionFactory, project: Project, owner: User, clock: MovableClock) -> MakeRun:
    """Make a task with a run whose time has come."""

    async def make() -> Run:
        async with unit_of_work(sessions) as session:
            task = await make_task(session, project=project, created_by=owner)
            times = {"scheduled_at": clock.now, "dispatch_requested_at": None}
            return await make_run(session, task=task, status=RunStatus.NOT_STARTED, **times)

    return make


async def test_two_sweeps_share_the_runs_and_do_not_wait_for_each_other(
    sessions: SessionFactory, make: MakeRun
) -> None:
    runs = {(await make()).id for _ in range(4)}
    async with unit_of_work(sessions) as first, unit_of_work(sessions) as second:
        some, _ = await queue_scheduled(first, most=2)
        others, found = await queue_scheduled(second)
        assert found == 2
    assert {*some, *others} == runs
    async with unit_of_work(sessions) as third:
        assert await queue_scheduled(third) == ([], 0)
        types = list(await third.scalars(select(Event.type).where(Event.run_id.in_(runs))))
    assert types == ["run.queued"] * 4


async def test_sweep_leaves_what_another_request_changes(
    sessions: SessionFactory,
    process: ProcessContext,
    project: Project,
    owner: User,
    make: MakeRun,
    queue: RecordingQueue,
) -> None:
    """Whoever has locked the run or its task goes first, and the next sweep sees what it did."""
    member = member_of(project, owner)
    started, deleted, cancelled = [await make() for _ in range(3)]
    async with unit_of_work(sessions) as first:
        await start_run(first, member, started.task_id, started.id, StartIn(), process)
        await delete_task(first, member, deleted.task_id)
        await run_lifecycle.set_status(first, cancelled.id, RunStatus.CANCELLED, events=process.events)
        assert await start_scheduled_runs(process) == 0
    assert await start_scheduled_runs(process) == 1, "that of the deleted task, which loses its time"
    assert await start_scheduled_runs(process) == 0
    assert [job.arguments for job in queue.jobs] == [{"run_id": str(started.id)}]
    async with unit_of_work(sessions) as session:
        rows = (await session.execute(select(Run.id, Run.status))).all()
    states = {(started.id, "queued"), (deleted.id, "not_started"), (cancelled.id, "cancelled")}
    assert {tuple(row) for row in rows} == states


async def test_request_that_comes_during_a_sweep_finds_the_run_queued(
    sessions: SessionFactory,
    process: ProcessContext,
    project: Project,
    owner: User,
    make: MakeRun,
) -> None:
    member = member_of(project, owner)
    run = await make()

    async def start(session: AsyncSession) -> str:
        task = await start_run(session, member, run.task_id, run.id, StartIn(), process)
        assert task["latest_run"] is not None
        return task["latest_run"]["status"]

    (begun, _), status = await race(sessions, queue_scheduled, start)
    assert (begun, status) == ([run.id], "queued")
    async with unit_of_work(sessions) as session:
        assert list(await session.scalars(select(Event.type).where(Event.run_id == run.id))) == ["run.queued"]


async def test_sweep_reads_the_runs_by_an_index(
    sessions: SessionFactory, engine: AsyncEngine, database_url: str, make: MakeRun, clock: MovableClock
) -> None:
    run = await make()
    async with unit_of_work(sessions) as session:
        await session.execute(text(_MANY))
        await session.execute(
            update(Run).where(Run.id == run.id).values(scheduled_at=clock.now + timedelta(hours=1))
        )
    async with unit_of_work(sessions) as session:
        await session.execute(text("ANALYZE runs, tasks"))
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        assert await queue_scheduled(own) == ([], 0)
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        [plan] = [await generic_plan(connection, each) for each in statements if "scheduled_at" in each.sql]
    finally:
        await connection.close()
    assert "ix_runs_scheduled" in plan.indexes
