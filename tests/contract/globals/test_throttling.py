"""The rate limit of a project (contract 2.7), on a clock that the tests move."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import create_redis
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from tests.support.assertions import assert_error, assert_permission_denied, concerning
from tests.support.callers import CallerKind, bearer
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.devices import expo_token
from tests.support.factories import make_key, make_project, make_user
from tests.support.web.routes import GATED_PROJECT_ROUTES

Limit = Callable[..., None]

# No window ends while a test counts.
pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def limit(application: FastAPI, process: ProcessContext) -> Limit:
    """Set the budgets of the application; 0 is off."""

    def set_limits(*, minute: int = 0, hour: int = 0) -> None:
        changes = {"throttle_per_minute": minute, "throttle_per_hour": hour}
        application.state.process = replace(process, settings=process.settings.model_copy(update=changes))

    return set_limits


async def statuses(client: httpx.AsyncClient, url: str, times: int) -> list[int]:
    return [(await client.get(url)).status_code for _ in range(times)]


def assert_throttled(response: httpx.Response) -> int:
    """Check that a request was refused, and return in how many seconds there is room again."""
    seconds = int(response.headers["retry-after"])
    assert_error(
        response,
        429,
        type="throttled_error",
        code="throttled",
        detail=f"Request was throttled. Expected available in {seconds} seconds.",
    )
    return seconds


def test_budgets_are_480_a_minute_and_4800_an_hour(process: ProcessContext) -> None:
    settings = process.settings
    assert (settings.throttle_per_minute, settings.throttle_per_hour) == (480, 4800)


async def test_request_beyond_the_minutes_budget_waits_for_the_next(
    client: httpx.AsyncClient, tasks_url: str, limit: Limit, clock: MovableClock
) -> None:
    limit(minute=3)
    assert await statuses(client, tasks_url, 3) == [200, 200, 200]
    wait = assert_throttled(await client.get(tasks_url))
    assert 1 < wait <= 60
    clock.advance(seconds=wait)
    assert await statuses(client, tasks_url, 1) == [200]


async def test_request_beyond_the_hours_budget_waits_for_the_next(
    client: httpx.AsyncClient, tasks_url: str, limit: Limit, clock: MovableClock
) -> None:
    limit(minute=2, hour=3)
    assert await statuses(client, tasks_url, 2) == [200, 200]
    clock.advance(seconds=60)
    assert await statuses(client, tasks_url, 1) == [200]
    wait = assert_throttled(await client.get(tasks_url))
    assert 60 < wait <= 3600
    clock.advance(seconds=wait)
    assert await statuses(client, tasks_url, 1) == [200]


async def test_all_keys_of_a_project_share_one_budget_and_other_projects_have_their_own(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    colleague: User,
    tasks_url: str,
    limit: Limit,
) -> None:
    """Contract 11 #15."""
    limit(minute=2)
    elsewhere = await make_project(session)
    key = await make_key(session, user=colleague)
    other_key = await make_key(session, user=await make_user(session, projects=[elsewhere]))
    assert await statuses(client, tasks_url, 2) == [200, 200]
    assert_throttled(await anonymous.get(tasks_url, headers=bearer(key)))
    response = await anonymous.get(f"/api/projects/{elsewhere.id}/tasks", headers=bearer(other_key))
    assert response.status_code == 200


async def test_every_route_of_a_project_is_throttled_before_body_and_look_up(
    client: httpx.AsyncClient, project: Project, task: Task, run: Run, limit: Limit, tasks_url: str
) -> None:
    """Contract 2.7."""
    limit(minute=1)
    assert await statuses(client, tasks_url, 1) == [200]
    for route in GATED_PROJECT_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        response = await client.request(
            route.method, url, content=b"{", headers={"Content-Type": "application/json"}
        )
        with concerning(route):
            assert_throttled(response)


async def test_requests_for_devices_are_not_throttled(client: httpx.AsyncClient, limit: Limit) -> None:
    """Contract 2.7."""
    limit(minute=1)
    url = "/api/users/@me/push_tokens"
    device = {"token": expo_token(), "platform": "ios"}
    assert [(await client.post(url, json=device)).status_code for _ in range(3)] == [200] * 3
    assert await statuses(client, url, 2) == [200, 200]
    assert (await client.post(f"{url}/unregister", json=device)).status_code == 204
    assert await statuses(client, "/api/users/@me", 2) == [200, 429]


@pytest.mark.caller(CallerKind.READ_ONLY)
async def test_scope_comes_before_the_budget(client: httpx.AsyncClient, tasks_url: str, limit: Limit) -> None:
    limit(minute=1)
    assert await statuses(client, tasks_url, 2) == [200, 429]
    response = await client.post(tasks_url, json={})
    assert_permission_denied(response, "API key missing required scope 'task:write'")


async def test_refused_callers_use_nothing_up(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, tasks_url: str, limit: Limit
) -> None:
    limit(minute=1)
    assert await statuses(anonymous, tasks_url, 3) == [403, 403, 403]
    assert await statuses(client, tasks_url, 1) == [200]


async def test_requests_pass_while_redis_is_away(
    application: FastAPI, process: ProcessContext, client: httpx.AsyncClient, owner: User, tasks_url: str
) -> None:
    away = create_redis(f"redis://127.0.0.1:{closed_port()}/0")
    application.state.process = replace(process, redis=away)
    response = await client.post(tasks_url, json={"title": "not lost"})
    assert response.status_code == 201
    assert response.json()["created_by"]["id"] == owner.id
    await away.aclose()


async def test_answer_says_what_is_left_of_the_budget_that_ends_first(
    client: httpx.AsyncClient, tasks_url: str, limit: Limit, clock: MovableClock
) -> None:
    def left(response: httpx.Response) -> list[str]:
        return [response.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")]

    limit(minute=2, hour=4)
    clock.now = clock.now.replace(minute=0, second=10, microsecond=0)
    assert left(await client.get(tasks_url)) == ["2", "1", "50"]
    assert left(await client.get(f"{tasks_url}/abc")) == ["2", "0", "50"]
    refused = await client.get(tasks_url)
    assert refused.status_code == 429
    assert left(refused) == ["2", "0", "50"]
    assert refused.headers["retry-after"] == "50"
    clock.advance(seconds=60)
    # Of both budgets one is left, and that of the hour for longer; what was refused used none of it up.
    assert left(await client.get(tasks_url)) == ["4", "1", str(3600 - 70)]
    assert not any(name.startswith("x-ratelimit") for name in refused.headers)


async def test_answer_without_a_budget_says_nothing_of_one(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, tasks_url: str, limit: Limit
) -> None:
    """Zero switches a budget off. There are no headers of the old names either (contract 2.7)."""
    limit(minute=0, hour=0)
    assert set(await statuses(client, tasks_url, 10)) == {200}
    for response in (
        await client.get(tasks_url),
        await anonymous.get("/livez"),
        await anonymous.get(tasks_url),
    ):
        assert not [name for name in response.headers if "ratelimit" in name.lower()]
