"""Snapshots for webhook messages with full bodies: each of its own event, and read for all events at once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import EventType, RunStatus
from app.models import Event, EventSnapshot, Project, Run, User
from app.services.events.run_ledger import record_for_runs
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_task
from tests.support.webhooks import make_endpoint


async def record(engine: AsyncEngine, sessions: SessionFactory, runs: Sequence[Run]) -> int:
    """Record an event of each run in one transaction, and return the number of statements."""
    events = [(run.id, EventType.RUN_ARTIFACT_ADDED, {"artifact_id": "a"}) for run in runs]
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        await record_for_runs(own, events)
    return len(statements)


async def snapshots(session: AsyncSession) -> dict[UUID | None, tuple[str, str]]:
    """Return the ids of the task and of the run in the snapshot of the event of each run."""
    rows = await session.execute(
        select(Event.run_id, EventSnapshot.snapshot).join(EventSnapshot, EventSnapshot.event_id == Event.id)
    )
    return {run_id: (snapshot["task"]["id"], snapshot["run"]["id"]) for run_id, snapshot in rows}


async def test_snapshots_of_many_events_take_the_statements_of_one(
    engine: AsyncEngine, sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    """Regression: the recovery of many runs read two rows for each of them, one after another."""
    await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/", payload="full")
    runs = []
    for _ in range(4):
        task = await make_task(session, project=project, created_by=owner)
        runs.append(await make_run(session, task=task, status=RunStatus.IN_PROGRESS))

    one = await record(engine, sessions, runs[:1])
    many = await record(engine, sessions, runs[1:])

    assert many == one
    assert await snapshots(session) == {run.id: (str(run.task_id), str(run.id)) for run in runs}
