"""The sums over open questions: right after every write, by any writer, and the same before and after folding."""

import random
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import QuestionKind, QuestionStatus
from app.models import Question, QuestionCount, User
from app.services.tasks.count_folding import QUESTION_COUNTS, fold_counts
from tests.support.factories import make_project, make_task, make_user
from tests.support.questions import make_live_run, make_question, of_status

_GROUP = ("user_id", "project_id", "kind")


async def sum_questions(session: AsyncSession) -> dict[Any, int]:
    columns = [getattr(QuestionCount, name) for name in _GROUP]
    rows = await session.execute(select(*columns, func.sum(QuestionCount.questions)).group_by(*columns))
    return {tuple(row[:3]): int(row[3]) for row in rows if row[3]}


async def really(session: AsyncSession) -> dict[Any, int]:
    columns = (Question.task_creator_id, Question.project_id, Question.kind)
    rows = await session.execute(
        select(*columns, func.count())
        .where(Question.status == QuestionStatus.OPEN, Question.task_creator_id.is_not(None))
        .group_by(*columns)
    )
    return {tuple(row[:3]): row[3] for row in rows}


async def test_sums_follow_every_write(session: AsyncSession, sessions: SessionFactory) -> None:
    choose = random.Random(1)  # noqa: S311 - the same for each run of the test
    projects = [await make_project(session) for _ in range(2)]
    people: list[User | None] = [await make_user(session, projects=projects) for _ in range(2)]
    tasks = [
        await make_task(session, project=project, created_by=person)
        for project in projects
        for person in (*people, None)
    ]
    runs = {task.id: await make_live_run(session, task=task) for task in tasks}
    some = Question.id.in_(select(Question.id).order_by(func.random()).limit(2))
    steps = (
        update(Question).where(some).values(of_status(QuestionStatus.ANSWERED)),
        update(Question).where(some).values(of_status(QuestionStatus.OPEN)),
        update(Question).where(some).values(title="Another title"),
        update(Question).where(some).values(task_creator_id=None),
        delete(Question).where(some),
    )
    for number in range(40):
        task = choose.choice(tasks)
        kind = choose.choice(list(QuestionKind))
        await make_question(session, task=task, run=runs[task.id], kind=kind)
        await session.execute(choose.choice(steps))
        if number % 10 == 9:
            async with unit_of_work(sessions) as unit:
                await fold_counts(unit, QUESTION_COUNTS)
        assert await sum_questions(session) == await really(session)
    assert await sum_questions(session)

    await session.execute(text("DELETE FROM users WHERE id = :id"), {"id": people[0].id if people[0] else 0})
    await session.execute(text("DELETE FROM projects WHERE id = :id"), {"id": projects[0].id})
    assert await sum_questions(session) == await really(session)


async def test_many_rows_become_one(session: AsyncSession, sessions: SessionFactory) -> None:
    project = await make_project(session)
    user = await make_user(session, projects=[project])
    task = await make_task(session, project=project, created_by=user)
    run = await make_live_run(session, task=task)
    for _ in range(5):
        await make_question(session, task=task, run=run)
    async with unit_of_work(sessions) as unit:
        assert await fold_counts(unit, QUESTION_COUNTS) == 5
    async with unit_of_work(sessions) as unit:
        assert await fold_counts(unit, QUESTION_COUNTS) == 0
    rows = (await session.execute(select(QuestionCount.questions, QuestionCount.folded))).all()
    assert [tuple(row) for row in rows] == [(5, True)]
