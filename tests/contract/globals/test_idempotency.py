"""Repeated requests: `Idempotency-Key` on the routes that create tasks and runs."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import IdempotencyKey, Project, Run, Task
from app.services.idempotency import sweep_keys
from tests.support.assertions import assert_error, assert_invalid, assert_not_found
from tests.support.callers import CallerKind, Cast, make_caller
from tests.support.clock import MovableClock
from tests.support.stand_ins.fakes import RecordingQueue

JSON = dict[str, Any]
KEY = {"Idempotency-Key": "3f1c"}
REPLAYED = "idempotent-replayed"
UNKNOWN = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(params=["tasks", "run", "runs"])
def url(request: pytest.FixtureRequest, tasks_url: str, task_url: str) -> str:
    """The path of each route that creates a task or a run."""
    return {"tasks": tasks_url, "run": f"{task_url}/run", "runs": f"{task_url}/runs"}[request.param]


@pytest.fixture
def body(url: str) -> JSON:
    return {"title": "Once"} if url.endswith("/tasks") else {"branch": "main"}


@pytest.fixture
def made(session: AsyncSession, url: str) -> Callable[[], Any]:
    """Count what the route makes."""
    model = Task if url.endswith("/tasks") else Run

    async def count() -> int:
        return await session.scalar(select(func.count()).select_from(model)) or 0

    return count


def assert_conflict(response: httpx.Response) -> None:
    assert_error(
        response,
        409,
        type="invalid_request",
        code="idempotency_conflict",
        detail="This Idempotency-Key was used with another request.",
    )


async def test_same_request_is_answered_alike_and_performed_once(
    client: httpx.AsyncClient, url: str, body: JSON, made: Callable[[], Any], queue: RecordingQueue
) -> None:
    before = await made()
    first = await client.post(url, json=body, headers=KEY)
    again = await client.post(url + "/", json=body, headers=KEY)
    assert first.status_code == again.status_code
    assert first.status_code in {200, 201}, first.text
    assert first.content == again.content
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.headers["content-type"] == "application/json"
    assert await made() == before + 1
    assert len(queue.jobs) == int(url.endswith("/run"))


async def test_key_without_a_response_is_not_replayed(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str
) -> None:
    """Regression: its status 0 and its empty body were sent."""
    await client.post(f"{task_url}/run", headers=KEY)
    await session.execute(update(IdempotencyKey).values(status=0, body=b""))
    again = await client.post(f"{task_url}/run", headers=KEY)
    assert (again.status_code, REPLAYED in again.headers) == (500, False)


async def test_another_body_is_a_conflict(
    client: httpx.AsyncClient, url: str, body: JSON, made: Callable[[], Any]
) -> None:
    await client.post(url, json=body, headers=KEY)
    count = await made()
    assert_conflict(await client.post(url, json=body | {"more": 1}, headers=KEY))
    assert_conflict(await client.post(url, headers=KEY))
    assert await made() == count


async def test_order_of_keys_in_the_body_and_name_of_the_project_do_not_matter(
    client: httpx.AsyncClient, url: str, body: JSON, project: Project
) -> None:
    first = await client.post(url, json=body | {"a": 1}, headers=KEY)
    other = url.replace(f"/projects/{project.id}/", "/projects/@current/")
    again = await client.post(other, json={"a": 1} | body, headers=KEY)
    assert again.content == first.content
    assert again.headers[REPLAYED] == "true"


async def test_name_of_the_project_does_not_matter_below_a_root_path_with_its_word(
    application: FastAPI, client: httpx.AsyncClient, url: str, body: JSON, project: Project
) -> None:
    """Regression: a segment of the root path was taken for the name, and the repetition was a conflict."""
    transport = httpx.ASGITransport(application, root_path="/projects/one")
    base_url = "http://testserver/projects/one"
    async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=client.headers) as caller:
        first = await caller.post(url, json=body, headers=KEY)
        other = url.replace(f"/projects/{project.id}/", "/projects/@current/")
        again = await caller.post(other, json=body, headers=KEY)
    assert again.content == first.content
    assert again.headers[REPLAYED] == "true"


async def test_another_route_is_a_conflict(client: httpx.AsyncClient, task_url: str) -> None:
    await client.post(f"{task_url}/run", headers=KEY)
    assert_conflict(await client.post(f"{task_url}/runs", headers=KEY))


async def test_every_route_that_takes_a_key_refuses_that_of_another_request(
    application: FastAPI, client: httpx.AsyncClient, tasks_url: str, project: Project
) -> None:
    assert (await client.post(tasks_url, headers=KEY)).status_code == 201
    count = 0
    for path, operations in application.openapi()["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", [])}
            if "Idempotency-Key" not in names:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            examples = content.get("application/json", {}).get("examples", {"none": {"value": {"a": 1}}})
            [example, *_] = examples.values()
            url = re.sub("{.*?}", UNKNOWN, path.replace("{project_id}", str(project.id)))
            assert_conflict(await client.request(method, url, json=example["value"], headers=KEY))
            count += 1
    assert count > 9


async def test_other_keys_and_no_key_are_performed(
    client: httpx.AsyncClient, url: str, body: JSON, made: Callable[[], Any]
) -> None:
    before = await made()
    for headers in (KEY, {"Idempotency-Key": "other"}, {"Idempotency-Key": " "}, {}, {}):
        response = await client.post(url, json=body, headers=headers)
        assert response.is_success
        assert REPLAYED not in response.headers
    assert await made() == before + 5


async def test_key_is_the_callers_own(
    client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, cast: Cast
) -> None:
    first = await client.post(tasks_url, json={}, headers=KEY)
    other_caller = await make_caller(session, CallerKind.MEMBER, project=cast.project, owner=cast.owner)
    member = other_caller.headers
    other = await client.post(tasks_url, json={"title": "mine"}, headers=KEY | member)
    assert (first.status_code, other.status_code) == (201, 201)
    assert other.json()["title"] == "mine"


async def test_refused_request_leaves_the_key_free(
    client: httpx.AsyncClient, task_url: str, tasks_url: str
) -> None:
    unknown = {"resume_from_run_id": UNKNOWN}
    assert (await client.post(f"{task_url}/run", json=unknown, headers=KEY)).status_code == 400
    missing = f"{tasks_url}/{UNKNOWN}/run"
    assert_not_found(await client.post(missing, headers=KEY))
    assert (await client.post(f"{task_url}/run", headers=KEY)).status_code == 200


async def test_key_lives_for_a_day(
    client: httpx.AsyncClient, url: str, body: JSON, made: Callable[[], Any], clock: MovableClock
) -> None:
    await client.post(url, json=body, headers=KEY)
    count = await made()
    clock.advance(hours=23, minutes=59)
    assert (await client.post(url, json=body, headers=KEY)).headers[REPLAYED] == "true"
    clock.advance(minutes=1)
    assert REPLAYED not in (await client.post(url, json={}, headers=KEY)).headers
    assert await made() == count + 1


async def test_sweep_removes_what_is_over(
    client: httpx.AsyncClient, tasks_url: str, session: AsyncSession, clock: MovableClock
) -> None:
    await client.post(tasks_url, headers=KEY)
    clock.advance(hours=12)
    await client.post(tasks_url, headers={"Idempotency-Key": "later"})
    clock.advance(hours=12)
    assert await sweep_keys(session) == 1
    assert list(await session.scalars(select(IdempotencyKey.key))) == ["later"]


@pytest.mark.parametrize(("key", "code"), [("x" * 256, "max_length"), ("a\x1fb", "invalid_input")])
async def test_malformed_key_is_refused(
    client: httpx.AsyncClient, tasks_url: str, key: str, code: str
) -> None:
    assert_invalid(await client.post(tasks_url, headers={"Idempotency-Key": key}), "Idempotency-Key", code)


async def test_token_in_a_body_is_not_kept(
    client: httpx.AsyncClient, task_url: str, session: AsyncSession
) -> None:
    body = {"pr_authorship_mode": "user", "github_user_token": "ghp_very_secret"}
    assert (await client.post(f"{task_url}/run", json=body, headers=KEY)).status_code == 200
    row = (await session.execute(select(*IdempotencyKey.__table__.columns))).one()
    assert "ghp_very_secret" not in str(row)
