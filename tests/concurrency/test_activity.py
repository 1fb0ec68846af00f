"""Activity of one task from many sides at once, and marks of one person from several devices."""

import asyncio

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType
from app.models import Event, Project, Task, User
from app.schemas.task_activity import MarkReadIn
from app.services.events.run_ledger import record_for_run
from app.services.tasks.activity_listing import mark_read
from tests.support.factories import make_task, make_user
from tests.support.principals import member_of
from tests.support.questions import make_live_run, make_question

_ROUNDS = 20
_TASKS = 30


async def test_last_activity_is_the_newest_event_of_all_that_came_at_once(
    session: AsyncSession, sessions: SessionFactory, project: Project, owner: User
) -> None:
    task = await make_task(session, project=project, created_by=owner)
    runs = [await make_live_run(session, task=task) for _ in range(2)]

    async def record(number: int) -> None:
        async with unit_of_work(sessions) as own:
            added = [{"pr_url": f"https://example.com/pull/{number}"}]
            await record_for_run(own, runs[number % 2].id, EventType.RUN_PULL_REQUEST_OPENED, added)

    await asyncio.gather(*(record(number) for number in range(_ROUNDS)))

    newest, count = (
        await session.execute(
            select(func.max(Event.occurred_at), func.count()).where(Event.task_id == task.id)
        )
    ).one()
    assert count == _ROUNDS
    assert await session.scalar(select(Task.last_activity_at).where(Task.id == task.id)) == newest


async def test_each_row_is_marked_once_by_requests_in_any_order(
    session: AsyncSession, sessions: SessionFactory, project: Project
) -> None:
    user = await make_user(session, projects=[project])
    tasks = [await make_task(session, project=project, created_by=user) for _ in range(_TASKS)]
    for task in tasks:
        await make_question(session, task=task)
    seen = [{"task_id": str(task.id), "seen_before": utcnow().isoformat()} for task in tasks]

    async def mark(number: int) -> tuple[int, int]:
        order = seen if number % 2 else seen[::-1]
        async with unit_of_work(sessions) as own:
            body = MarkReadIn.model_validate({"activities": order})
            marked = await mark_read(own, member_of(project, user), body)
        return marked["marked_read"], marked["unread_count"]

    outcomes = await asyncio.gather(*(mark(number) for number in range(6)))
    assert sum(marked for marked, _ in outcomes) == _TASKS
    assert {unread for _, unread in outcomes} == {0}
