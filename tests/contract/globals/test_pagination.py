"""Pages and the links between them (contract 2.6)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Membership, Project, Task, User
from tests.support.assertions import assert_page, concerning
from tests.support.factories import make_project, make_run
from tests.support.makers import NewTask

COUNT = 7


@pytest.fixture
async def tasks(new_task: NewTask) -> list[Task]:
    """Seven tasks, newest first."""
    start = utcnow()
    return [await new_task(created_at=start + timedelta(seconds=n)) for n in range(COUNT)][::-1]


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return [row["task_number"] for row in rows]


# A query, the numbers of its page, and the queries of the pages behind and before it.
PAGES: list[tuple[str, list[int], str | None, str | None]] = [
    ("", [6, 5, 4, 3, 2, 1, 0], None, None),
    ("limit=3", [6, 5, 4], "limit=3&offset=3", None),
    ("limit=3&offset=3", [3, 2, 1], "limit=3&offset=6", "limit=3"),
    ("limit=3&offset=6", [0], None, "limit=3&offset=3"),
    ("limit=3&offset=1", [5, 4, 3], "limit=3&offset=4", "limit=3"),
    ("limit=3&offset=4", [2, 1, 0], None, "limit=3&offset=1"),
    ("limit=7", [6, 5, 4, 3, 2, 1, 0], None, None),
    ("offset=7", [], None, "limit=50"),
    ("limit=2&offset=100", [], None, "limit=2&offset=98"),
    # A limit is clamped, and the default one is shown.
    ("limit=500&offset=2", [4, 3, 2, 1, 0], None, "limit=100"),
    ("offset=5", [1, 0], None, "limit=50"),
    # An offset that is none is zero, never an error.
    *(
        (f"limit=2&offset={value}", [6, 5], "limit=2&offset=2", None)
        for value in ("0", "-1", "abc", "", "1.5", "%00")
    ),
]
# A query, and that of the next page: other parameters are kept and sorted by name, also unknown (contract 5.1),
# repeated and empty ones.
KEPT = [
    (
        "search=a+task&zebra=1&limit=1&archived=all&b=x%26y&a=%C3%BC",
        "a=%C3%BC&archived=all&b=x%26y&limit=1&offset=1&search=a+task&zebra=1",
    ),
    ("x=2&status=&x=1&limit=1", "limit=1&offset=1&status=&x=2&x=1"),
]


@pytest.mark.usefixtures("tasks")
class TestLinks:
    async def test_page_links_to_its_neighbours(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        base = f"http://testserver{tasks_url}?"
        for query, rows, following, preceding in PAGES:
            response = await client.get(f"{tasks_url}?{query}")
            with concerning(query):
                assert numbers(assert_page(response, count=COUNT)) == rows
                assert response.json()["next"] == (base + following if following else None)
                assert response.json()["previous"] == (base + preceding if preceding else None)

    async def test_path_keeps_its_form(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        for path in (tasks_url, f"{tasks_url}/", "/api/projects/@current/tasks/"):
            links = (await client.get(f"{path}?limit=2&offset=2")).json()
            assert links["next"] == f"http://testserver{path}?limit=2&offset=4"
            assert links["previous"] == f"http://testserver{path}?limit=2"

    async def test_other_parameters_are_kept_and_sorted_by_name(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        for query, expected in KEPT:
            response = await client.get(f"{tasks_url}?{query}")
            assert response.json()["next"] == f"http://testserver{tasks_url}?{expected}"

    async def test_links_lead_through_every_task_once(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        seen: list[int] = []
        url: str | None = f"{tasks_url}?limit=3"
        while url is not None:
            response = await client.get(url)
            seen += numbers(assert_page(response, count=COUNT))
            url = response.json()["next"]
        assert seen == [6, 5, 4, 3, 2, 1, 0]

    async def test_links_lead_back_to_the_first_page(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.get(f"{tasks_url}?limit=3&offset=5")
        while (url := response.json()["previous"]) is not None:
            response = await client.get(url)
        assert numbers(assert_page(response, count=COUNT))[0] == 6


@pytest.mark.walls
async def test_invalid_limit_means_the_default_and_a_larger_one_is_clamped(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    """Never 400 (contract 2.6)."""
    for _ in range(101):
        await new_task()
    for limit, values in (
        (50, ("0", "-1", "abc", "", "1.5", "%20", "null", "1e3", "٣")),
        (100, ("101", "500", "99999999999999999999", "9" * 60)),
    ):
        for value in values:
            response = await client.get(f"{tasks_url}?limit={value}")
            with concerning(value):
                assert len(assert_page(response, count=101)) == limit
                assert response.json()["next"] == f"http://testserver{tasks_url}?limit={limit}&offset={limit}"


async def test_own_and_shared_tasks_are_merged_newest_first_and_ties_broken_by_id(
    client: httpx.AsyncClient, new_task: NewTask, colleague: User, tasks_url: str
) -> None:
    now = utcnow()
    for number in (3, 1, 2):
        await new_task(id=UUID(int=number), created_at=now)
    rows = assert_page(await client.get(tasks_url), count=3)
    assert [UUID(row["id"]).int for row in rows] == [3, 2, 1]

    for number in range(3, 9):
        shared = {"created_by": colleague, "origin_product": "onboarding"} if number % 2 else {}
        await new_task(created_at=now + timedelta(seconds=number), **shared)
    first = assert_page(await client.get(f"{tasks_url}?limit=4"), count=9)
    second = assert_page(await client.get(f"{tasks_url}?limit=4&offset=4"), count=9)
    assert numbers(first + second)[:6] == [8, 7, 6, 5, 4, 3]


class TestEveryList:
    """The other paginated routes page alike."""

    async def test_list_of_runs_is_in_pages(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks: list[Task], tasks_url: str
    ) -> None:
        start = utcnow()
        runs = [
            await make_run(session, task=tasks[0], created_at=start + timedelta(seconds=n)) for n in range(3)
        ]
        url = f"{tasks_url}/{tasks[0].id}/runs"
        response = await client.get(f"{url}/?limit=2")
        rows = assert_page(response, count=3)
        assert [row["id"] for row in rows] == [str(runs[2].id), str(runs[1].id)]
        assert response.json()["next"] == f"http://testserver{url}/?limit=2&offset=2"

    async def test_summaries_of_tasks_are_in_pages(
        self, client: httpx.AsyncClient, tasks: list[Task], tasks_url: str
    ) -> None:
        """Limit and offset stand in the query, the ids in the body (contract 6.3)."""
        url = f"{tasks_url}/summaries"
        body = {"ids": [str(task.id) for task in tasks]}
        response = await client.post(f"{url}?limit=2&offset=2", json=body)
        rows = assert_page(response, count=COUNT)
        assert [row["id"] for row in rows] == [str(task.id) for task in tasks[2:4]]
        assert response.json()["next"] == f"http://testserver{url}?limit=2&offset=4"
        assert response.json()["previous"] == f"http://testserver{url}?limit=2"

    async def test_list_of_projects_is_in_pages(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User
    ) -> None:
        other = await make_project(session, name="Second")
        session.add(Membership(user_id=owner.id, project_id=other.id, created_at=utcnow()))
        await session.flush()
        response = await client.get("/api/projects/?limit=1")
        assert [row["id"] for row in assert_page(response, count=2)] == [project.id]
        assert response.json()["next"] == "http://testserver/api/projects/?limit=1&offset=1"
