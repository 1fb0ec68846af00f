"""Pages and the links between them (contract 2.6)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Membership, Project, Task, User
from app.web.proxies import TrustedProxies
from tests.support.assertions import assert_page
from tests.support.callers import Caller
from tests.support.factories import make_project, make_run, make_task, make_user

COUNT = 7


@pytest.fixture
async def tasks(session: AsyncSession, project: Project, owner: User) -> list[Task]:
    """Seven tasks, newest first."""
    start = utcnow()
    made = [
        await make_task(session, project=project, created_by=owner, created_at=start + timedelta(seconds=n))
        for n in range(COUNT)
    ]
    return made[::-1]


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return [row["task_number"] for row in rows]


@pytest.mark.usefixtures("tasks")
class TestLinks:
    @pytest.mark.parametrize(
        ("query", "rows", "following", "preceding"),
        [
            pytest.param("", [6, 5, 4, 3, 2, 1, 0], None, None, id="2.6-everything-fits"),
            pytest.param("limit=3", [6, 5, 4], "limit=3&offset=3", None, id="2.6-first-page"),
            pytest.param("limit=3&offset=3", [3, 2, 1], "limit=3&offset=6", "limit=3", id="2.6-middle-page"),
            pytest.param("limit=3&offset=6", [0], None, "limit=3&offset=3", id="2.6-last-page"),
            pytest.param("limit=3&offset=1", [5, 4, 3], "limit=3&offset=4", "limit=3", id="2.6-odd-offset"),
            pytest.param("limit=3&offset=4", [2, 1, 0], None, "limit=3&offset=1", id="2.6-exactly-the-end"),
            pytest.param("limit=7", [6, 5, 4, 3, 2, 1, 0], None, None, id="2.6-limit-is-count"),
            pytest.param("offset=7", [], None, "limit=50", id="2.6-offset-is-count"),
            pytest.param("limit=2&offset=100", [], None, "limit=2&offset=98", id="2.6-offset-beyond"),
            pytest.param("limit=500&offset=2", [4, 3, 2, 1, 0], None, "limit=100", id="2.6-limit-is-clamped"),
            pytest.param("offset=5", [1, 0], None, "limit=50", id="2.6-default-limit-is-shown"),
        ],
    )
    async def test_page_links_to_its_neighbours(
        self,
        client: httpx.AsyncClient,
        tasks_url: str,
        query: str,
        rows: list[int],
        following: str | None,
        preceding: str | None,
    ) -> None:
        response = await client.get(f"{tasks_url}?{query}")
        assert numbers(assert_page(response, count=COUNT)) == rows
        base = f"http://testserver{tasks_url}?"
        assert response.json()["next"] == (base + following if following else None)
        assert response.json()["previous"] == (base + preceding if preceding else None)

    @pytest.mark.parametrize("suffix", ["", "/"])
    async def test_path_keeps_its_slash_form(
        self, client: httpx.AsyncClient, tasks_url: str, suffix: str
    ) -> None:
        response = await client.get(f"{tasks_url}{suffix}?limit=2&offset=2")
        assert response.json()["next"] == f"http://testserver{tasks_url}{suffix}?limit=2&offset=4"
        assert response.json()["previous"] == f"http://testserver{tasks_url}{suffix}?limit=2"

    async def test_other_parameters_are_kept_and_sorted_by_name(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        """Unknown ones too (contract 5.1)."""
        query = "search=a+task&zebra=1&limit=1&archived=all&b=x%26y&a=%C3%BC"
        response = await client.get(f"{tasks_url}?{query}")
        expected = "a=%C3%BC&archived=all&b=x%26y&limit=1&offset=1&search=a+task&zebra=1"
        assert response.json()["next"] == f"http://testserver{tasks_url}?{expected}"

    async def test_repeated_and_empty_parameters_are_kept(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        response = await client.get(f"{tasks_url}?x=2&status=&x=1&limit=1")
        expected = "limit=1&offset=1&status=&x=2&x=1"
        assert response.json()["next"] == f"http://testserver{tasks_url}?{expected}"

    async def test_current_project_stays_in_the_link(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/api/projects/@current/tasks/?limit=1")
        expected = "http://testserver/api/projects/@current/tasks/?limit=1&offset=1"
        assert response.json()["next"] == expected

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

    async def test_links_lead_back(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.get(f"{tasks_url}?limit=3&offset=5")
        while (url := response.json()["previous"]) is not None:
            response = await client.get(url)
        assert numbers(assert_page(response, count=COUNT))[0] == 6

    @pytest.mark.parametrize(
        ("headers", "base"),
        [
            pytest.param({"Host": "api.example.com"}, "http://api.example.com", id="2.6-host"),
            pytest.param({"Host": "localhost:8123"}, "http://localhost:8123", id="2.6-port"),
            pytest.param(
                {"Host": "api.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"},
                "https://api.example.com",
                id="2.6-tls-ends-at-the-proxy",
            ),
            pytest.param(
                {
                    "Host": "10.0.0.3:8000",
                    "X-Forwarded-Host": "api.example.com",
                    "X-Forwarded-Proto": "https",
                },
                "https://api.example.com",
                id="2.6-forwarded-host",
            ),
            pytest.param(
                {"X-Forwarded-Host": "said-by-the-client, [2001:db8::1]:8443"},
                "http://[2001:db8::1]:8443",
                id="2.6-the-nearest-proxys-word",
            ),
            pytest.param(
                {"Host": "api.example.com", "X-Forwarded-Host": "a/b?c"},
                "http://api.example.com",
                id="2.6-no-host",
            ),
        ],
    )
    async def test_links_name_the_host_that_was_asked(
        self,
        behind_proxy: httpx.AsyncClient,
        tasks_url: str,
        headers: dict[str, str],
        base: str,
    ) -> None:
        response = await behind_proxy.get(f"{tasks_url}?limit=1", headers=headers)
        assert response.json()["next"] == f"{base}{tasks_url}?limit=1&offset=1"

    @pytest.fixture
    def behind_proxy(self, application: FastAPI, caller: Caller) -> httpx.AsyncClient:
        """The application as `taskbeacon serve` puts it behind a proxy that it trusts."""
        return self.calling(application, caller, address="127.0.0.1")

    @staticmethod
    def calling(application: FastAPI, caller: Caller, *, address: str) -> httpx.AsyncClient:
        served = TrustedProxies(application, trusted="127.0.0.1")
        transport = httpx.ASGITransport(served, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=caller.headers)

    async def test_stranger_is_not_believed(
        self, application: FastAPI, caller: Caller, tasks_url: str
    ) -> None:
        stranger = self.calling(application, caller, address="203.0.113.7")
        headers = {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https"}
        response = await stranger.get(f"{tasks_url}?limit=1", headers=headers)
        assert response.json()["next"] == f"http://testserver{tasks_url}?limit=1&offset=1"


class TestLeniency:
    """Never 400 (contract 2.6)."""

    @pytest.mark.parametrize("value", ["0", "-1", "abc", "", "1.5", "%20", "null", "1e3", "٣"])
    async def test_limit_that_is_no_limit_is_the_default(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        value: str,
    ) -> None:
        for _ in range(51):
            await make_task(session, project=project, created_by=owner)
        response = await client.get(f"{tasks_url}?limit={value}")
        assert len(assert_page(response, count=51)) == 50
        assert response.json()["next"] == f"http://testserver{tasks_url}?limit=50&offset=50"

    @pytest.mark.parametrize("value", ["101", "500", "99999999999999999999", "9" * 60])
    async def test_larger_limit_is_clamped(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        value: str,
    ) -> None:
        for _ in range(101):
            await make_task(session, project=project, created_by=owner)
        response = await client.get(f"{tasks_url}?limit={value}")
        assert len(assert_page(response, count=101)) == 100
        assert response.json()["next"] == f"http://testserver{tasks_url}?limit=100&offset=100"

    @pytest.mark.usefixtures("tasks")
    @pytest.mark.parametrize("value", ["0", "-1", "abc", "", "1.5", "%00"])
    async def test_offset_that_is_no_offset_is_zero(
        self, client: httpx.AsyncClient, tasks_url: str, value: str
    ) -> None:
        response = await client.get(f"{tasks_url}?limit=2&offset={value}")
        assert numbers(assert_page(response, count=COUNT)) == [6, 5]
        assert response.json()["previous"] is None


class TestOrder:
    async def test_ties_are_broken_by_id(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
    ) -> None:
        now = utcnow()
        ids = [UUID(int=number) for number in (3, 1, 2)]
        for identifier in ids:
            await make_task(session, project=project, created_by=owner, id=identifier, created_at=now)
        rows = assert_page(await client.get(tasks_url), count=3)
        assert [UUID(row["id"]).int for row in rows] == [3, 2, 1]

    async def test_own_and_shared_tasks_are_merged_newest_first(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
    ) -> None:
        start = utcnow()
        other = await make_user(session, projects=[project])
        for number in range(6):
            await make_task(
                session,
                project=project,
                created_by=owner if number % 2 else other,
                origin_product="user_created" if number % 2 else "onboarding",
                created_at=start + timedelta(seconds=number),
            )
        first = assert_page(await client.get(f"{tasks_url}?limit=4"), count=6)
        second = assert_page(await client.get(f"{tasks_url}?limit=4&offset=4"), count=6)
        assert numbers(first + second) == [5, 4, 3, 2, 1, 0]


class TestEveryList:
    """The other paginated routes page alike."""

    async def test_runs(
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

    async def test_summaries(self, client: httpx.AsyncClient, tasks: list[Task], tasks_url: str) -> None:
        """Limit and offset stand in the query, the ids in the body (contract 6.3)."""
        url = f"{tasks_url}/summaries"
        body = {"ids": [str(task.id) for task in tasks]}
        response = await client.post(f"{url}?limit=2&offset=2", json=body)
        rows = assert_page(response, count=COUNT)
        assert [row["id"] for row in rows] == [str(task.id) for task in tasks[2:4]]
        assert response.json()["next"] == f"http://testserver{url}?limit=2&offset=4"
        assert response.json()["previous"] == f"http://testserver{url}?limit=2"

    async def test_projects(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User
    ) -> None:
        other = await make_project(session, name="Second")
        session.add(Membership(user_id=owner.id, project_id=other.id, created_at=utcnow()))
        await session.flush()
        response = await client.get("/api/projects/?limit=1")
        assert [row["id"] for row in assert_page(response, count=2)] == [project.id]
        assert response.json()["next"] == "http://testserver/api/projects/?limit=1&offset=1"
