"""Many who write tasks at the same time, and those who fold what they wrote: the sums stay right."""

import asyncio

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.models import Project, Task, TaskCount, User
from app.services.tasks.count_folding import TASK_COUNTS, fold_counts
from tests.support.assertions import assert_page
from tests.support.database.queries import recorded
from tests.support.factories import make_task

WRITERS = 6
TASKS_EACH = 4


async def test_sums_are_right_after_writers_and_folders_met(
    sessions: SessionFactory, project: Project, owner: User
) -> None:
    async def write(number: int) -> None:
        for step in range(TASKS_EACH):
            async with unit_of_work(sessions) as session:
                task = await make_task(session, project=project, created_by=owner)
                if step == number % TASKS_EACH:
                    archived = {"archived": True, "archived_at": utcnow()}
                    await session.execute(update(Task).where(Task.id == task.id).values(archived))

    async def fold() -> None:
        for _ in range(TASKS_EACH):
            async with unit_of_work(sessions) as session:
                await fold_counts(session, TASK_COUNTS)

    await asyncio.gather(*(write(number) for number in range(WRITERS)), fold(), fold())

    async with unit_of_work(sessions) as session:
        await fold_counts(session, TASK_COUNTS)
        rows = await session.execute(
            select(TaskCount.archived, func.sum(TaskCount.tasks))
            .where(TaskCount.project_id == project.id, TaskCount.audience == owner.id)
            .group_by(TaskCount.archived)
        )
        assert {row[0]: int(row[1]) for row in rows} == {True: WRITERS, False: WRITERS * (TASKS_EACH - 1)}


@pytest.mark.parametrize("query", ["", "?search=found", "?archived=all&offset=1"])
async def test_list_shows_each_write_at_once_while_others_ask(
    client: httpx.AsyncClient, tasks_url: str, query: str
) -> None:
    await client.post(tasks_url, json={"title": "found"})
    created = await client.post(tasks_url, json={"title": "found too"})
    for number in range(3, 6):
        (created, *_) = await asyncio.gather(
            client.post(tasks_url, json={"title": f"found {number}"}),
            *(client.get(tasks_url + query) for _ in range(3)),
        )
        assert created.status_code == 201
        rows = assert_page(await client.get(tasks_url + query), count=number)
        assert len(rows) == number - query.count("offset")
    gone = await client.delete(f"{tasks_url}/{created.json()['id']}")
    assert gone.status_code == 204
    assert (await client.get(tasks_url + query)).json()["count"] == 4


async def test_of_many_who_ask_for_pages_of_a_search_one_counts(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    session: AsyncSession,
    project: Project,
    owner: User,
    tasks_url: str,
) -> None:
    for number in range(3):
        await make_task(session, project=project, created_by=owner, title=f"found {number}")
    pages = ["", "", "&limit=1", "&limit=1&offset=1", "&limit=1&offset=1", "&offset=3"]
    async with recorded(engine) as statements:
        answers = await asyncio.gather(*(client.get(f"{tasks_url}?search=found{page}") for page in pages))
    shown = [[task["title"] for task in assert_page(answer, count=3)] for answer in answers]
    every = ["found 2", "found 1", "found 0"]
    assert shown == [every, every, ["found 2"], ["found 1"], ["found 1"], []]
    looked_up = [statement.sql for statement in statements if "ILIKE" in statement.sql]
    assert len(looked_up) <= len(set(pages))
    assert sum("NULL AS total" not in sql for sql in looked_up) == 1
