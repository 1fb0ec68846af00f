"""The sums over a project's tasks: right after every write, by any writer, and the same before and after folding."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.enums import RunStatus
from app.ids import new_id
from app.models import Project, Run, Task, TaskCount, User
from app.models.tasks import EVERYONE
from app.services.tasks.count_folding import TASK_COUNTS, fold_counts
from app.services.tasks.filters import tasks_counted, version
from tests.support.database.faults import rolled_back
from tests.support.factories import make_project, make_run, make_task, make_user

Counted = Callable[[User], Awaitable[dict[tuple[bool, bool], int]]]
Version = Callable[..., Awaitable[int]]

FLAGS = [(archived, internal) for archived in (False, True) for internal in (False, True)]


@pytest.fixture
def counted(session: AsyncSession, project: Project) -> Counted:
    """Return how many tasks a user sees, by whether they are archived and internal."""

    counts = [
        tasks_counted(TaskCount.archived == archived, TaskCount.internal == internal).label(f"{number}")
        for number, (archived, internal) in enumerate(FLAGS)
    ]

    async def counted(user: User) -> dict[tuple[bool, bool], int]:
        seen = {"visible_project_id": project.id, "visible_user_id": user.id}
        row = (await session.execute(select(*counts), seen)).one()
        return dict(zip(FLAGS, row, strict=True))

    return counted


@pytest.fixture
def version_of(session: AsyncSession, project: Project) -> Version:
    """Return the version of what a user sees of the project."""

    async def version_of(user: User, of: Project = project) -> int:
        seen = {"visible_project_id": of.id, "visible_user_id": user.id}
        return (await session.execute(select(version()), seen)).scalar_one()

    return version_of


async def really(session: AsyncSession, project: Project, user: User) -> dict[tuple[bool, bool], int]:
    rows = await session.execute(
        select(Task.archived, Task.internal, func.count())
        .where(Task.project_id == project.id, Task.audience.in_([EVERYONE, user.id]), ~Task.deleted)
        .group_by(Task.archived, Task.internal)
    )
    return dict.fromkeys(FLAGS, 0) | {(row[0], row[1]): row[2] for row in rows}


@pytest.mark.parametrize("seed", range(3))
async def test_sums_follow_any_writes(
    session: AsyncSession, project: Project, owner: User, counted: Counted, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same writes each time
    other = await make_user(session, projects=[project])
    tasks: list[Task] = []
    for step in range(60):
        if len(tasks) < 3 or chance.random() < 0.3:
            creator = chance.choice([owner, other, None])
            origin = chance.choice(["user_created", "slack"])
            flags = {"archived": chance.random() < 0.5, "internal": chance.random() < 0.5}
            tasks.append(
                await make_task(session, project=project, created_by=creator, origin_product=origin, **flags)
            )
        else:
            change: dict[str, Any] = chance.choice(
                [
                    {"archived": True, "archived_at": utcnow()},
                    {"archived": False, "archived_at": None},
                    {"internal": True},
                    {"deleted": True, "deleted_at": utcnow()},
                    {"deleted": False, "deleted_at": None, "internal": False},
                    {"created_by_id": None},
                    {"created_by_id": other.id},
                    {"origin_product": "slack", "archived": True, "archived_at": utcnow()},
                    {"title": f"Step {step}"},
                ]
            )
            some = [task.id for task in chance.sample(tasks, 2)]
            await session.execute(update(Task).where(Task.id.in_(some)).values(change))
        if step % 20 == 10:
            await session.execute(delete(Task).where(Task.id == tasks.pop().id))
        if step % 20 == 15:
            await fold_counts(session, TASK_COUNTS)
        for user in (owner, other):
            assert await counted(user) == await really(session, project, user)


async def test_tasks_of_an_account_that_goes_become_everyones(
    session: AsyncSession, project: Project, owner: User, counted: Counted
) -> None:
    leaving = await make_user(session, projects=[project])
    await make_task(session, project=project, created_by=leaving)
    assert (await counted(owner))[False, False] == 0

    await session.execute(delete(User).where(User.id == leaving.id))

    assert (await counted(owner))[False, False] == 1


async def test_project_that_goes_takes_its_counts_along(session: AsyncSession, owner: User) -> None:
    going = await make_project(session)
    task = await make_task(session, project=going, created_by=owner)
    await make_run(session, task=task, stage="build")

    await session.execute(delete(Project).where(Project.id == going.id))

    left = select(func.count()).select_from(TaskCount).where(TaskCount.project_id == going.id)
    assert await session.scalar(left) == 0


async def test_rollback_takes_the_count_back(
    sessions: SessionFactory, project: Project, owner: User, counted: Counted, version_of: Version
) -> None:
    before = await version_of(owner)
    async with rolled_back(sessions) as session:
        await make_task(session, project=project, created_by=owner)

    assert (await counted(owner))[False, False] == 0
    assert await version_of(owner) == before


class TestVersion:
    @pytest.mark.parametrize(
        "change",
        [
            {"title": "x"},
            {"description": "x"},
            {"repository": "o/r"},
            {"archived": True, "archived_at": utcnow()},
            {"internal": True},
            {"deleted": True, "deleted_at": utcnow()},
            {"origin_product": "slack"},
            {"created_by_id": None},
            {"latest_run_status": RunStatus.FAILED},
            {"verdict_urgency": 4},
            {"latest_run_ci": "success"},
            {"task_number": 77},
        ],
        ids=lambda change: next(iter(change)),
    )
    async def test_whatever_a_filter_asks_for_makes_a_new_one(
        self,
        session: AsyncSession,
        project: Project,
        owner: User,
        version_of: Version,
        change: dict[str, Any],
    ) -> None:
        task = await make_task(session, project=project, created_by=owner)
        before = await version_of(owner)
        await session.execute(update(Task).where(Task.id == task.id).values(change))
        assert await version_of(owner) > before

    async def test_so_does_the_stage_of_any_run(
        self, session: AsyncSession, project: Project, owner: User, version_of: Version
    ) -> None:
        task = await make_task(session, project=project, created_by=owner)
        run = await make_run(session, task=task)
        before = await version_of(owner)
        await session.execute(update(Run).where(Run.id == run.id).values(stage="build"))
        between = await version_of(owner)
        values = {column.name: getattr(run, column.name) for column in Run.__table__.columns}
        session.add(Run(**values | {"id": new_id(), "stage": "plan"}))
        await session.flush()
        assert before < between < await version_of(owner)

    async def test_task_that_moves_is_news_to_those_who_no_longer_see_it(
        self, session: AsyncSession, project: Project, owner: User, version_of: Version
    ) -> None:
        other = await make_user(session, projects=[project])
        task = await make_task(session, project=project, created_by=owner)
        before = await version_of(owner)
        await session.execute(update(Task).where(Task.id == task.id).values(created_by_id=other.id))
        assert await version_of(owner) > before

    async def test_invisible_task_does_not_change_the_version(
        self, session: AsyncSession, project: Project, owner: User, version_of: Version
    ) -> None:
        other = await make_user(session, projects=[project])
        elsewhere = await make_project(session)
        before = await version_of(owner)
        await make_task(session, project=project, created_by=other)
        await make_task(session, project=elsewhere, created_by=owner)
        assert await version_of(owner) == before

    async def test_folding_does_not_change_the_version(
        self, session: AsyncSession, project: Project, owner: User, version_of: Version
    ) -> None:
        for _ in range(3):
            await make_task(session, project=project, created_by=owner)
        before = await version_of(owner)

        assert await fold_counts(session, TASK_COUNTS) >= 3

        assert await version_of(owner) == before
        rows = select(func.count()).select_from(TaskCount).where(TaskCount.project_id == project.id)
        assert await session.scalar(rows) == 1
        assert await fold_counts(session, TASK_COUNTS) == 0
