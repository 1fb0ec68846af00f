"""Reads of the queue of runs: by an index, whether few or many wait."""

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.db import SessionFactory, unit_of_work
from app.enums import Environment
from app.models import Task
from app.services.runs.queue.queue_figures import read_figures
from app.services.runs.run_lifecycle import NewRun, claim, open_run
from tests.support.database.plans import generic_plan
from tests.support.database.queries import recorded

_MANY = """
INSERT INTO runs (id, task_id, project_id, status, environment, created_at, updated_at, dispatch_requested_at)
SELECT gen_random_uuid(), task_id, project_id, status, environment, created_at, updated_at, dispatch_requested_at
FROM runs, generate_series(2, 5000)
"""
_MORE_ENDED = """
INSERT INTO runs (id, task_id, project_id, status, environment, created_at, updated_at, completed_at)
SELECT gen_random_uuid(), task_id, project_id, 'completed', environment, created_at, updated_at, updated_at
FROM runs, generate_series(1, 4)
"""


async def test_new_run_claim_and_figures_read_a_long_queue_by_an_index(
    session: AsyncSession,
    sessions: SessionFactory,
    engine: AsyncEngine,
    database_url: str,
    task: Task,
    events: RunEvents,
) -> None:
    """Regression: with the status as a parameter, no plan for any parameter could use an index of waiting runs."""
    new = NewRun(task_id=task.id, project_id=task.project_id, environment=Environment.CLOUD, state={})
    await open_run(session, new, dispatch=True, events=events)
    await session.execute(text(_MANY))
    await session.execute(text(_MORE_ENDED))
    await session.commit()
    await session.execute(text("ANALYZE"))
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        await open_run(own, new, dispatch=True, events=events)
        assert await claim(own, owner="job", events=events)
        assert (await read_figures(own)).queued == 5000
        assert (await read_figures(own, task.project_id)).queued == 5000
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        plans = [
            await generic_plan(connection, each) for each in statements if "dispatch_requested_at" in each.sql
        ]
    finally:
        await connection.close()

    assert len(plans) == 4
    for plan in plans:
        assert "runs" not in plan.scanned, plan
