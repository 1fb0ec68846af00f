"""Authentication (contract 2.2): where a key may stand, which keys are refused, and with which status."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import ApiKey, Project, Run, Task, User
from app.runtime import ProcessContext
from app.security.secrets import hash_api_key, new_api_key
from app.services.access.caller_cache import CallerCache
from tests.support.assertions import (
    assert_error,
    assert_key_refused,
    assert_not_authenticated,
    assert_not_found,
    assert_page,
    concerning,
)
from tests.support.callers import CallerKind, bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_key, make_user
from tests.support.web.routes import GATED_ROUTES

IN_PROJECT = "/api/projects/{project}/"


async def test_request_without_a_known_key_is_refused_on_every_route(
    anonymous: httpx.AsyncClient, project: Project, task: Task, run: Run
) -> None:
    """Contract 2.2."""
    unknown = bearer(new_api_key())
    for route in GATED_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        status = 403 if IN_PROJECT in route.path else 401
        with concerning(route):
            assert_not_authenticated(await anonymous.request(route.method, url, json=route.body), status)
            response = await anonymous.request(route.method, url, json=route.body, headers=unknown)
            assert_key_refused(response, status)


@pytest.mark.parametrize("caller", [CallerKind.REVOKED, CallerKind.INACTIVE], indirect=True)
async def test_key_that_no_longer_counts_is_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    """Contract 2.2."""
    for path, status in ((tasks_url, 403), ("/api/users/@me", 401), ("/api/projects", 401)):
        with concerning(path):
            assert_key_refused(await client.get(path), status)


async def test_expired_key_is_answered_as_an_unknown_one(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str, clock: MovableClock
) -> None:
    key = await make_key(session, user=owner, expires_at=clock() + timedelta(minutes=1))
    headers = bearer(key)
    clock.advance(seconds=59)
    assert_page(await anonymous.get(tasks_url, headers=headers), count=0)
    clock.advance(seconds=1)
    assert_key_refused(await anonymous.get(tasks_url, headers=headers), 403)


async def test_key_in_the_header_is_accepted(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
) -> None:
    """The key is trimmed, and its scheme may be in any case (contract 2.2)."""
    key = await make_key(session, user=owner)
    for header in (f"Bearer {key}", f"Bearer   {key}  ", f"bearer {key}"):
        with concerning(header):
            assert_page(await anonymous.get(tasks_url, headers={"Authorization": header}), count=0)


async def test_header_without_a_bearer_key_does_not_authenticate(
    anonymous: httpx.AsyncClient, tasks_url: str
) -> None:
    """Contract 2.2."""
    for header in ("Basic dXNlcjpwYXNz", "Bearer", "Bearer   ", "Bearerphx_x", ""):
        with concerning(header):
            assert_not_authenticated(await anonymous.get(tasks_url, headers={"Authorization": header}), 403)


async def test_bearer_token_of_any_form_is_refused_not_crashed_on(
    anonymous: httpx.AsyncClient, tasks_url: str
) -> None:
    """Contract 2.2."""
    for value in (b"pha_0123456789abcdef", b"nonsense", b"x" * 100_000, "phx_é".encode()):
        headers = [(b"Authorization", b"Bearer " + value)]
        with concerning(value[:20]):
            assert_key_refused(await anonymous.get(tasks_url, headers=headers), 403)


Placed = Callable[[str], dict[str, Any]]


def in_body(key: str) -> dict[str, Any]:
    return {"json": {"personal_api_key": key}}


def in_query(key: str) -> dict[str, Any]:
    return {"params": {"personal_api_key": key}}


@pytest.mark.parametrize(("placed", "place"), [(in_body, "body"), (in_query, "query string")])
async def test_key_outside_the_header_is_accepted_or_refused_by_its_place(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    owner: User,
    tasks_url: str,
    placed: Placed,
    place: str,
) -> None:
    key = await make_key(session, user=owner)
    accepted = await anonymous.post(tasks_url, **placed(key))
    assert accepted.status_code == 201
    assert_key_refused(await anonymous.post(tasks_url, **placed(new_api_key())), 403, place)


async def test_first_place_of_a_key_decides(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
) -> None:
    """An invalid key in the first place is refused although later places hold a good one."""
    good, wrong = await make_key(session, user=owner), new_api_key()
    for header, body, answering in ((wrong, good, "Authorization header"), (None, wrong, "body")):
        response = await anonymous.post(
            tasks_url,
            headers=bearer(header) if header else {},
            json={"personal_api_key": body},
            params={"personal_api_key": good},
        )
        assert_key_refused(response, 403, answering)


async def test_body_without_a_readable_key_does_not_authenticate(
    anonymous: httpx.AsyncClient, tasks_url: str
) -> None:
    """Contract 2.2."""
    values = [f'{{"personal_api_key": {value}}}' for value in ("5", '["phx_x"]', "null", '""')]
    for body in (*values, '["personal_api_key"]', "{"):
        response = await anonymous.post(tasks_url, content=body, headers={"Content-Type": "application/json"})
        with concerning(body):
            assert_not_authenticated(response, 403)


async def test_key_works_for_every_one_of_a_user(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User
) -> None:
    keys = [await make_key(session, user=owner) for _ in range(2)]
    ids = [(await anonymous.get("/api/users/@me", headers=bearer(key))).json()["id"] for key in keys]
    assert ids == [owner.id, owner.id]


async def last_use(session: AsyncSession, key: str) -> Any:
    return await session.scalar(select(ApiKey.last_used_at).where(ApiKey.secret_hash == hash_api_key(key)))


async def test_use_of_a_key_is_noted_at_most_hourly(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str, clock: MovableClock
) -> None:
    """Contract 2.2: written only when null or older than one hour."""
    key = await make_key(session, user=owner)
    first = clock.now
    await anonymous.get(tasks_url, headers=bearer(key))
    assert await last_use(session, key) == first
    clock.advance(minutes=59)
    await anonymous.get(tasks_url, headers=bearer(key))
    assert await last_use(session, key) == first
    clock.advance(minutes=2)
    await anonymous.get(tasks_url, headers=bearer(key))
    assert await last_use(session, key) == first + timedelta(minutes=61)


async def test_use_of_a_key_is_noted_even_if_the_request_fails(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str, clock: MovableClock
) -> None:
    key = await make_key(session, user=owner)
    assert_not_found(await anonymous.get(f"{tasks_url}/nonsense", headers=bearer(key)))
    assert await last_use(session, key) == clock.now


async def test_reactivated_user_may_call_again(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
) -> None:
    key = await make_key(session, user=owner)
    await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
    assert_key_refused(await anonymous.get(tasks_url, headers=bearer(key)), 403)
    await session.execute(update(User).where(User.id == owner.id).values(is_active=True))
    assert_page(await anonymous.get(tasks_url, headers=bearer(key)), count=0)


@pytest.mark.parametrize("placed", [in_body, in_query], ids=["12.20-body", "12.20-query"])
async def test_key_appears_neither_in_logs_nor_in_links(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    owner: User,
    tasks_url: str,
    caplog: pytest.LogCaptureFixture,
    placed: Placed,
) -> None:
    key = await make_key(session, user=owner)
    caplog.set_level(logging.DEBUG, logger="app")
    for _ in range(2):
        assert (await anonymous.post(tasks_url, **placed(key))).status_code == 201
    page = await anonymous.get(tasks_url, params={"personal_api_key": key, "limit": 1})
    assert page.json()["next"] == f"http://testserver{tasks_url}?limit=1&offset=1"
    assert key not in page.text
    assert "http.request" in caplog.text
    assert key not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/projects/{project}/tasks", {"title": "x"}, 403),
        ("PATCH", "/api/users/@me/notification_preferences", {"failed": False}, 401),
    ],
    ids=["task", "preferences"],
)
async def test_row_of_a_user_who_is_deleted_while_their_key_is_remembered_is_refused(
    anonymous: httpx.AsyncClient,
    application: FastAPI,
    session: AsyncSession,
    project: Project,
    method: str,
    path: str,
    body: dict[str, Any],
    status: int,
) -> None:
    """The foreign key was violated, and the answer was 500."""
    process: ProcessContext = application.state.process
    application.state.process = replace(process, callers=CallerCache(lifetime=3600))
    user = await make_user(session, projects=[project])
    key = bearer(await make_key(session, user=user))
    assert (await anonymous.get(f"/api/projects/{project.id}/tasks", headers=key)).is_success
    assert (await anonymous.get("/api/users/@me", headers=key)).is_success
    await session.execute(delete(User).where(User.id == user.id))

    response = await anonymous.request(method, path.format(project=project.id), json=body, headers=key)

    assert_error(
        response,
        status,
        type="authentication_error",
        code="authentication_failed",
        detail="The user no longer exists.",
    )
