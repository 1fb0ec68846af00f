"""Rights of a caller, and the order in which they are checked (contract 2.1, 2.3)."""

import itertools
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import Scope
from app.models import Organization, Project, Run, Task, User
from tests.support.assertions import (
    assert_invalid,
    assert_not_found,
    assert_page,
    assert_permission_denied,
    concerning,
)
from tests.support.callers import CallerKind, bearer
from tests.support.factories import make_key, make_project, make_user
from tests.support.web.routes import GATED_PROJECT_ROUTES, GATED_ROUTES, PROJECT_ROUTES, Route

ANY_ID = "11111111-1111-4111-8111-111111111111"


# Broken, invalid, null and no object.
BODIES = (b"{", b'{"title": [], "mode": []}', b"null", b"[]")


def missing(scope: str) -> str:
    return f"API key missing required scope '{scope}'"


def test_every_operation_that_asks_for_a_key_is_in_the_matrix(application: FastAPI) -> None:
    described = {
        (method.upper(), path, scope)
        for path, item in application.openapi()["paths"].items()
        for method, operation in item.items()
        for security in operation["security"]
        for scope in security.get("personalApiKey", ())
    }
    names = {
        name: f"{{{name}_id}}"
        for name in (
            "project",
            "task",
            "run",
            "environment",
            "set",
            "endpoint",
            "delivery",
            "device",
            "question",
            "session",
            "artifact",
            "key",
        )
    } | {"user_code": "{user_code}"}
    assert {(route.method, route.path.format(**names), route.scope) for route in GATED_ROUTES} == described
    assert len(GATED_ROUTES) == len(described)


@pytest.mark.parametrize("route", GATED_ROUTES, ids=lambda route: f"2.3-{route}")
async def test_route_needs_its_scope_and_no_other(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    task: Task,
    run: Run,
    route: Route,
) -> None:
    """A key with only this scope is accepted; one with all the other scopes is not."""
    url = route.url(project=project.id, task=task.id, run=run.id)
    sufficient = {route.scope, f"{route.scope.partition(':')[0]}:write"}
    others = [scope for scope in Scope if scope not in {Scope.ANY, *sufficient}]
    wrong = await make_key(session, user=owner, scopes=others)
    response = await anonymous.request(route.method, url, json=route.body, headers=bearer(wrong))
    assert_permission_denied(response, missing(route.scope))
    right = await make_key(session, user=owner, scopes=[route.scope])
    response = await anonymous.request(route.method, url, json=route.body, headers=bearer(right))
    assert response.status_code == route.status


async def test_scopes_of_a_key_open_the_list(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
) -> None:
    """Contract 2.3: write implies read, and one of several scopes is enough; no other spelling is."""
    for scopes in (["*"], ["task:write"], ["task:read", "user:write"]):
        key = await make_key(session, user=owner, scopes=scopes)
        assert_page(await anonymous.get(tasks_url, headers=bearer(key)), count=0)
    for others in ([], None, ["task"], ["task:*"], ["TASK:READ"]):
        key = await make_key(session, user=owner, scopes=others)
        with concerning(others):
            assert_permission_denied(
                await anonymous.get(tasks_url, headers=bearer(key)), missing("task:read")
            )


@pytest.mark.caller(CallerKind.READ_ONLY)
async def test_read_only_key_changes_nothing(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, task: Task, run: Run
) -> None:
    """Contract 2.3."""
    counts = select(
        select(func.count(Task.id)).scalar_subquery(), select(func.count(Run.id)).scalar_subquery()
    )
    before = (await session.execute(counts)).one()
    for route in GATED_PROJECT_ROUTES:
        if route.scope is Scope.TASK_WRITE:
            url = route.url(project=project.id, task=task.id, run=run.id)
            response = await client.request(route.method, url, json=route.body)
            with concerning(route):
                assert_permission_denied(response, missing("task:write"))
    assert (await session.execute(counts)).one() == before
    unchanged = await session.execute(select(Task.description, Task.deleted).where(Task.id == task.id))
    assert unchanged.one() == ("", False)


@pytest.mark.caller(CallerKind.OUTSIDER)
async def test_outsider_is_refused_at_the_project_on_every_route(
    client: httpx.AsyncClient, project: Project, task: Task, run: Run
) -> None:
    """Contract 2.1."""
    for route in GATED_PROJECT_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        response = await client.request(route.method, url, json=route.body)
        with concerning(route):
            assert_permission_denied(response, "You don't have access to the project.")


async def test_project_that_does_not_exist_is_not_found(
    client: httpx.AsyncClient, project: Project, task: Task
) -> None:
    """Projects are named by digits alone: links to further pages hold the requested path (contract 2.1, 2.6)."""
    spellings = [form.format(project.id) for form in ("{}.0", "{}.", "+{}", "%20{}", "{}%20", "{}%0A")]
    numbers = ("0", "-1", "1.5", "99999999999", "99999999999999999999", "9" * 500)
    odd = ("%00", "1%00", "%ED%A0%80", "%F0%9D%9F%8F")
    for name in ("abc", "@other", *numbers, *odd, *spellings):
        for route in PROJECT_ROUTES[:5]:
            url = route.url(project=name, task=task.id)
            with concerning(f"{route}: {name}"):
                response = await client.request(route.method, url, json=route.body)
                assert_not_found(response, "Project not found.")


class TestCurrentProject:
    """`@current` (contract 2.1)."""

    async def test_stands_for_the_callers_current_project(
        self, client: httpx.AsyncClient, task: Task
    ) -> None:
        rows = assert_page(await client.get("/api/projects/@current/tasks"), count=1)
        assert rows[0]["id"] == str(task.id)

    @pytest.mark.caller(CallerKind.OUTSIDER)
    async def test_is_each_callers_own(self, client: httpx.AsyncClient, task: Task) -> None:
        assert_page(await client.get("/api/projects/@current/tasks"), count=0)
        assert_not_found(await client.get(f"/api/projects/@current/tasks/{task.id}"))

    async def test_names_nothing_for_a_user_without_one(
        self, anonymous: httpx.AsyncClient, session: AsyncSession
    ) -> None:
        key = await make_key(session, user=await make_user(session))
        response = await anonymous.get("/api/projects/@current/tasks", headers=bearer(key))
        assert_not_found(response, "Project not found.")

    async def test_is_refused_once_the_user_has_left_the_project(
        self, anonymous: httpx.AsyncClient, session: AsyncSession, project: Project
    ) -> None:
        former = await make_user(session, current_project_id=project.id)
        key = await make_key(session, user=former)
        response = await anonymous.get("/api/projects/@current/tasks", headers=bearer(key))
        assert_permission_denied(response, "You don't have access to the project.")


class TestRestrictedKeys:
    """Keys limited to projects or organizations (contract 2.3)."""

    @pytest.mark.caller(CallerKind.OTHER_PROJECT_KEY)
    async def test_key_of_other_projects_is_refused(
        self, client: httpx.AsyncClient, project: Project, tasks_url: str
    ) -> None:
        detail = f"API key does not have access to the requested project: ID {project.id}."
        assert_permission_denied(await client.get(tasks_url), detail)
        assert_permission_denied(await client.get("/api/projects/@current/tasks"), detail)

    @pytest.mark.caller(CallerKind.OTHER_ORGANIZATION_KEY)
    async def test_key_of_other_organizations_is_refused(
        self, client: httpx.AsyncClient, organization: Organization, tasks_url: str
    ) -> None:
        detail = f"API key does not have access to the requested organization: ID {organization.id}."
        assert_permission_denied(await client.get(tasks_url), detail)

    async def test_key_of_this_project_or_organization_is_accepted(
        self,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        organization: Organization,
        project: Project,
        owner: User,
        tasks_url: str,
    ) -> None:
        other = await make_project(session, name="Elsewhere")
        limits: list[tuple[list[int], list[UUID]]] = [
            ([other.id, project.id], []),
            ([], [other.organization_id, organization.id]),
            ([project.id], [organization.id]),
        ]
        for projects, organizations in limits:
            key = await make_key(session, user=owner, projects=projects, organizations=organizations)
            assert_page(await anonymous.get(tasks_url, headers=bearer(key)), count=0)

    @pytest.mark.caller(CallerKind.OTHER_PROJECT_KEY)
    async def test_restriction_hides_projects_from_the_list(self, client: httpx.AsyncClient) -> None:
        """The owner is no member of the other project either, so nothing is left."""
        assert_page(await client.get("/api/projects"), count=0)


class TestOrder:
    """Each gate is asked only after the one before it has passed (contract 2.3)."""

    async def test_authentication_comes_before_everything(self, anonymous: httpx.AsyncClient) -> None:
        for body in (b"{", b'{"title": []}'):
            response = await anonymous.post("/api/projects/abc/tasks", content=body)
            assert response.json()["code"] == "not_authenticated"

    async def test_project_comes_before_scope(
        self, anonymous: httpx.AsyncClient, session: AsyncSession
    ) -> None:
        key = await make_key(session, user=await make_user(session), scopes=[])
        response = await anonymous.get("/api/projects/abc/tasks", headers=bearer(key))
        assert_not_found(response, "Project not found.")

    @pytest.mark.caller(CallerKind.READ_ONLY)
    async def test_scope_comes_before_body_and_look_up(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        headers = {"Content-Type": "application/json"}
        for method, path in (("POST", ""), ("PATCH", f"/{ANY_ID}"), ("POST", f"/{ANY_ID}/run")):
            for body in BODIES:
                response = await client.request(method, tasks_url + path, content=body, headers=headers)
                assert_permission_denied(response, missing("task:write"))

    async def test_look_up_comes_before_body_on_update(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        """Contract 5.4 and 11 #8, #32: no validation oracle on invisible tasks."""
        headers = {"Content-Type": "application/json"}
        for method, body in itertools.product(("PATCH", "PUT"), BODIES):
            response = await client.request(method, f"{tasks_url}/{ANY_ID}", content=body, headers=headers)
            assert_not_found(response)

    async def test_body_comes_before_look_up_on_run(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        response = await client.post(f"{tasks_url}/{ANY_ID}/run", json={"mode": "sideways"})
        assert_invalid(response, "mode", "invalid_choice", '"sideways" is not a valid choice.')

    async def test_rules_of_the_run_body_come_before_look_up(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        """Contract 9.3: what needs only the request is part of its validation."""
        response = await client.post(f"{tasks_url}/{ANY_ID}/run", json={"runtime_adapter": "claude"})
        detail = "This field is required when selecting a cloud runtime."
        assert_invalid(response, "model", "invalid_input", detail)

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_look_up_comes_before_business_rules(
        self, client: httpx.AsyncClient, task_url: str
    ) -> None:
        response = await client.post(f"{task_url}/run", json={"resume_from_run_id": ANY_ID})
        assert_not_found(response)
