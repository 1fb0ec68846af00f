"""Pushes and questions that change at the same time (contract 15 and 16)."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.pushes.push import Accepted, PushOutcome, TryLater
from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind, QuestionStatus
from app.errors import NotFound
from app.models import Notification, Project, Question, Run, Task, User
from app.services.access.principal import Principal
from app.services.notifications import push_claims, push_delivery, push_recipients, reminders
from app.services.tasks.batches import delete_task
from tests.concurrency.races import count_waiting, race
from tests.support.devices import make_device
from tests.support.factories import make_project, make_user
from tests.support.principals import member_of
from tests.support.questions import make_live_run, make_question
from tests.support.waiting import eventually


@pytest.fixture
def caller(project: Project, owner: User) -> Principal:
    return member_of(project, owner)


async def test_question_that_opens_while_its_task_is_deleted_counts_for_no_person(
    session: AsyncSession, sessions: SessionFactory, caller: Principal, task: Task
) -> None:
    run = await make_live_run(session, task=task)

    async def open_question(own: AsyncSession) -> Question:
        await own.execute(select(Run.id).where(Run.id == run.id).with_for_update())
        return await make_question(own, task=task, run=run)

    await race(sessions, open_question, lambda own: delete_task(own, caller, task.id))

    row = (await session.execute(select(Question.status, Question.task_creator_id))).one()
    assert tuple(row) == (QuestionStatus.WITHDRAWN, None)


async def test_stranger_who_deletes_a_task_waits_for_none_of_its_locks(
    session: AsyncSession, sessions: SessionFactory, task: Task
) -> None:
    question = await make_question(session, task=task)
    elsewhere = await make_project(session)
    user = await make_user(session, projects=[elsewhere])
    stranger = member_of(elsewhere, user)
    async with unit_of_work(sessions) as holder:
        await holder.execute(select(Run.id).where(Run.id == question.run_id).with_for_update())
        with pytest.raises(NotFound):
            async with asyncio.timeout(120), unit_of_work(sessions) as own:
                await delete_task(own, stranger, task.id)


async def test_pushes_are_settled_while_their_question_closes(
    session: AsyncSession, sessions: SessionFactory, owner: User, task: Task
) -> None:
    """Regression: each transaction had locked a row that the other waited for."""
    for _ in range(2):
        await make_device(session, user=owner)
    question = await make_question(session, task=task)
    async with unit_of_work(sessions) as own:
        await push_recipients.notify_people(
            own, NotificationKind.AWAITING, [question.run_id], question_id=question.id
        )
    async with unit_of_work(sessions) as own:
        claimed = (await push_claims.claim_due(own)).deliveries
    late, early = sorted(claimed, key=lambda each: each.push.id, reverse=True)

    async def close() -> None:
        async with unit_of_work(sessions) as own:
            await reminders.retract(own, [question.id])

    async def settle() -> None:
        async with unit_of_work(sessions) as own:
            said: dict[UUID, PushOutcome] = {late.push.id: Accepted(), early.push.id: TryLater("HTTP 503")}
            await push_delivery.settle(own, [late, early], said)

    async def are_waiting(count: int) -> bool:
        return await count_waiting(sessions) == count

    async with asyncio.TaskGroup() as group, unit_of_work(sessions) as holder:
        await holder.execute(
            select(Notification.id).where(Notification.id == early.push.id).with_for_update()
        )
        group.create_task(close())
        await eventually(lambda: are_waiting(1))
        group.create_task(settle())
        await eventually(lambda: are_waiting(2))

    retractions = select(func.count(Notification.id)).where(Notification.replaces.is_not(None))
    assert await session.scalar(retractions) == 2
