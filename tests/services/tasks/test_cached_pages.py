"""The cache of lists in a process: never older than what the caller sees, looked up once, and bounded."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import SessionFactory, unit_of_work
from app.models import Project, User
from app.schemas.base import Page
from app.services.tasks.cached_pages import KnownLists, find_page
from app.services.tasks.filters import TaskFilter
from tests.support.database.queries import recorded
from tests.support.factories import make_task
from tests.support.waiting import eventually

FIRST = Page(limit=2, offset=0)


@pytest.fixture
async def wanted(sessions: SessionFactory, project: Project, owner: User) -> TaskFilter:
    """A search that finds three tasks."""
    async with unit_of_work(sessions) as session:
        for number in range(3):
            await make_task(session, project=project, created_by=owner, title=f"found {number}")
    seen = {"visible_project_id": project.id, "visible_user_id": owner.id}
    return TaskFilter(("words",), seen, {"pattern": "%found%"})


async def found(
    sessions: SessionFactory, wanted: TaskFilter, lists: KnownLists, page: Page = FIRST
) -> tuple[int, list[str]]:
    async with unit_of_work(sessions) as session:
        count, tasks = await find_page(session, wanted, page, lists)
    return count, [row.task.title for row in tasks if row.task]


async def test_list_is_looked_up_again_when_something_has_changed(
    sessions: SessionFactory, engine: AsyncEngine, project: Project, owner: User, wanted: TaskFilter
) -> None:
    lists = KnownLists()
    async with recorded(engine) as statements:
        for _ in range(3):
            assert await found(sessions, wanted, lists) == (3, ["found 2", "found 1"])
            assert await found(sessions, wanted, lists, Page(2, 2)) == (3, ["found 0"])
            assert await found(sessions, wanted, lists, Page(2, 4)) == (3, [])
        assert sum("ILIKE" in statement.sql for statement in statements) == 2

    async with unit_of_work(sessions) as session:
        await make_task(session, project=project, created_by=owner, title="found 3")
    assert await found(sessions, wanted, lists) == (4, ["found 3", "found 2"])
    assert await found(sessions, wanted, lists, Page(2, 2)) == (4, ["found 1", "found 0"])


async def test_next_request_looks_up_when_the_first_goes_away(
    sessions: SessionFactory, engine: AsyncEngine, wanted: TaskFilter
) -> None:
    lists = KnownLists()
    async with lists.of(wanted).lock, recorded(engine) as statements:
        gone, waiting = (asyncio.create_task(found(sessions, wanted, lists)) for _ in range(2))
        await eventually(lambda: len(statements) == 2)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    assert await waiting == (3, ["found 2", "found 1"])


def test_least_recently_used_list_is_forgotten() -> None:
    lists = KnownLists()
    first, second = (lists.of(TaskFilter((), {}, {"number": number})) for number in range(2))
    for number in range(2, 1024):
        lists.of(TaskFilter((), {}, {"number": number}))
    assert lists.of(TaskFilter((), {}, {"number": 0})) is first
    lists.of(TaskFilter((), {}, {"number": 1024}))
    assert lists.of(TaskFilter((), {}, {"number": 0})) is first
    assert lists.of(TaskFilter((), {}, {"number": 1})) is not second


async def test_few_pages_of_a_list_are_remembered(sessions: SessionFactory, wanted: TaskFilter) -> None:
    lists = KnownLists()
    pages = [Page(limit, 0) for limit in range(1, 7)]
    for page in pages:
        await found(sessions, wanted, lists, page)
    assert list(lists.of(wanted).pages) == pages[-4:]
