"""Repositories, summaries, the caller, their projects, and what operators ask (contract 6.2, 6.3, 6.6, 6.7)."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import __version__
from app.clients.redis import create_redis
from app.clock import utcnow
from app.enums import Environment, RunStatus
from app.models import Membership, Organization, Project, Run, Task, User
from app.runtime import ProcessContext
from app.services.access.caller_cache import CallerCache
from tests.support.assertions import assert_error, assert_not_found, assert_page, concerning
from tests.support.callers import CallerKind, bearer
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_copies, make_key, make_project, make_run, make_task, make_user
from tests.support.makers import NewTask


async def test_repositories_are_distinct_and_sorted(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    """Repositories of internal and deleted tasks do not count; archived ones do (contract 6.2 and 11 #26)."""
    assert (await client.get(f"{tasks_url}/repositories")).json() == {"repositories": []}
    for repository in ("z/z", "a/b", "a/b", "a/a", "", None):
        await new_task(repository=repository)
    for flag in ("internal", "deleted", "archived"):
        await new_task(repository=f"a/{flag}", **{flag: True})
    response = await client.get(f"{tasks_url}/repositories")
    assert response.json() == {"repositories": ["a/a", "a/archived", "a/b", "z/z"]}


async def test_repositories_have_a_limit(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, tasks_url: str
) -> None:
    await make_copies(session, task, 1001)
    names = (await client.get(f"{tasks_url}/repositories")).json()["repositories"]
    assert (names[0], names[-1], len(names)) == ("acme/00001", "acme/01000", 1000)


class TestSummaries:
    async def summarize(
        self, client: httpx.AsyncClient, tasks_url: str, ids: list[Any], count: int
    ) -> list[dict[str, Any]]:
        response = await client.post(f"{tasks_url}/summaries", json={"ids": [str(value) for value in ids]})
        return assert_page(response, count=count)

    async def test_summaries_have_six_keys_of_the_task(
        self, client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
    ) -> None:
        task = await new_task(title="In short", repository="org/repo")
        full = (await client.get(f"{tasks_url}/{task.id}")).json()
        expected = {key: full[key] for key in ("id", "title", "repository", "created_at", "updated_at")}
        for run, shown in (
            (None, None),
            ({"status": RunStatus.FAILED}, {"status": "failed", "environment": "cloud"}),
            (
                {"status": RunStatus.IN_PROGRESS, "environment": Environment.LOCAL},
                {"status": "in_progress", "environment": "local"},
            ),
        ):
            if run is not None:
                await make_run(session, task=task, **run)
            rows = await self.summarize(client, tasks_url, [task.id], 1)
            assert rows == [expected | {"latest_run": shown}]
        assert (expected["id"], expected["title"], expected["repository"]) == (
            str(task.id),
            "In short",
            "org/repo",
        )

    async def test_include_internal_and_archived_tasks_and_leave_the_rest_out(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        new_task: NewTask,
        colleague: User,
        owner: User,
        tasks_url: str,
    ) -> None:
        internal, archived = await new_task(internal=True), await new_task(archived=True)
        foreign = await make_task(session, project=await make_project(session), created_by=owner)
        others = [await new_task(colleague), foreign, await new_task(deleted=True)]
        asked = [UUID(int=7), *(task.id for task in (internal, archived, *others)), internal.id]
        rows = await self.summarize(client, tasks_url, asked, 2)
        assert [row["id"] for row in rows] == [str(archived.id), str(internal.id)]


class TestMe:
    async def test_shows_the_caller_and_their_project(
        self, client: httpx.AsyncClient, organization: Organization, project: Project, owner: User
    ) -> None:
        body = (await client.get("/api/users/@me")).json()
        assert body["id"] == owner.id
        assert body["uuid"] == str(owner.uuid)
        assert body["distinct_id"] == owner.distinct_id
        assert body["email"] == owner.email
        assert (body["first_name"], body["last_name"]) == ("Olga", "User")
        assert (body["is_staff"], body["is_email_verified"]) == (False, None)
        assert body["date_joined"].endswith("Z")
        assert body["team"]["id"] == body["team"]["project_id"] == project.id
        assert body["team"]["uuid"] == str(project.uuid)
        assert body["team"]["organization"] == str(organization.id)
        assert body["team"]["name"] == "Test Team"
        assert body["team"]["api_token"] == project.api_token
        assert body["team"]["timezone"] == "UTC"
        assert body["organization"]["id"] == str(organization.id)
        assert [entry["id"] for entry in body["organizations"]] == [str(organization.id)]

    @pytest.mark.caller(CallerKind.STAFF)
    async def test_me_says_that_a_user_is_staff(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/users/@me")).json()["is_staff"] is True

    async def test_names_the_current_project_and_all_organizations(
        self, anonymous: httpx.AsyncClient, session: AsyncSession
    ) -> None:
        projects = [await make_project(session) for _ in range(3)]
        key = await make_key(session, user=await make_user(session, projects=projects))
        body = (await anonymous.get("/api/users/@me", headers=bearer(key))).json()
        assert body["team"]["id"] == projects[0].id
        assert body["organization"]["id"] == str(projects[0].organization_id)
        assert {entry["id"] for entry in body["organizations"]} == {
            str(project.organization_id) for project in projects
        }

    async def test_of_a_user_without_projects(
        self, anonymous: httpx.AsyncClient, session: AsyncSession
    ) -> None:
        key = await make_key(session, user=await make_user(session))
        body = (await anonymous.get("/api/users/@me", headers=bearer(key))).json()
        assert (body["team"], body["organization"], body["organizations"]) == (None, None, [])

    async def test_of_a_user_who_is_deleted_while_their_key_is_remembered(
        self, anonymous: httpx.AsyncClient, application: FastAPI, session: AsyncSession
    ) -> None:
        process: ProcessContext = application.state.process
        application.state.process = replace(process, callers=CallerCache(lifetime=3600))
        user = await make_user(session)
        key = await make_key(session, user=user)
        assert (await anonymous.get("/api/users/@me", headers=bearer(key))).status_code == 200
        await session.execute(delete(User).where(User.id == user.id))
        response = await anonymous.get("/api/users/@me", headers=bearer(key))
        assert_error(
            response,
            401,
            type="authentication_error",
            code="authentication_failed",
            detail="The user no longer exists.",
        )

    async def test_of_a_former_member_names_no_project(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, project: Project
    ) -> None:
        former = await make_user(session, current_project_id=project.id)
        key = await make_key(session, user=former)
        body = (await anonymous.get("/api/users/@me", headers=bearer(key))).json()
        assert body["team"] is None
        assert project.api_token not in repr(body)


class TestProjects:
    async def test_are_those_of_the_caller(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User
    ) -> None:
        await make_project(session, name="Not theirs")
        second = await make_project(session, name="Second")
        session.add(Membership(user_id=owner.id, project_id=second.id, created_at=utcnow()))
        await session.flush()
        rows = assert_page(await client.get("/api/projects"), count=2)
        assert [(row["id"], row["name"]) for row in rows] == [
            (project.id, "Test Team"),
            (second.id, "Second"),
        ]
        assert {"id", "uuid", "organization", "name", "api_token", "timezone"} <= set(rows[0])

    async def test_renamed_project_shows_its_new_name(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project
    ) -> None:
        await session.execute(update(Project).where(Project.id == project.id).values(name="Renamed"))
        assert assert_page(await client.get("/api/projects"), count=1)[0]["name"] == "Renamed"


class TestOperations:
    """Outside the contract, for those who operate the service."""

    async def test_livez_needs_no_server(self, anonymous: httpx.AsyncClient, application: FastAPI) -> None:
        application.state.process = None
        for path in ("/livez", "/livez/"):
            response = await anonymous.get(path)
            assert (response.status_code, response.json()) == (200, {"status": "ok", "version": __version__})

    async def test_metrics_count_requests_by_route_and_not_by_path(
        self, client: httpx.AsyncClient, task: Task, task_url: str
    ) -> None:
        await client.get(task_url)
        response = await client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        assert 'route="/api/projects/{project_id}/tasks/{task_id}"' in response.text
        assert str(task.id) not in response.text

    async def test_readyz_names_each_part(self, anonymous: httpx.AsyncClient) -> None:
        response = await anonymous.get("/readyz")
        assert response.status_code == 200
        parts = {"status": "ok", "database": "ok", "redis": "ok", "object_store": "ok"}
        assert parts.items() <= response.json().items()

    async def test_readyz_names_the_part_that_is_away(
        self, anonymous: httpx.AsyncClient, application: FastAPI, process: ProcessContext
    ) -> None:
        away = create_redis(f"redis://127.0.0.1:{closed_port()}/0")
        application.state.process = replace(process, redis=away)
        response = await anonymous.get("/readyz")
        await away.aclose()
        assert response.status_code == 503
        body = response.json()
        assert body["database"] == body["object_store"] == "ok"
        assert body["redis"] != "ok"


async def test_what_other_clients_ask_for_and_we_do_not_offer_is_not_found(
    client: httpx.AsyncClient, project: Project, task_url: str, run: Run
) -> None:
    run_url, reports = f"{task_url}/runs/{run.id}", f"/api/projects/{project.id}/signals/reports"
    for method, url in (
        ("GET", f"{run_url}/task_session/"),
        ("POST", f"{run_url}/task_session_sync/"),
        ("POST", f"{run_url}/analysis-activity/"),
        ("GET", f"{run_url}/peers/"),
        ("POST", f"{run_url}/peers/{run.id}/message/"),
        ("GET", f"{reports}/"),
        ("POST", f"{reports}/{run.id}/artefacts/"),
    ):
        with concerning(url):
            assert_not_found(await client.request(method, url))
