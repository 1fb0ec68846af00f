"""Who is calling (contract 2.2): where a key may stand, which keys are refused, and with which status."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import ApiKey, Project, Run, Task, User
from app.security import hash_api_key, new_api_key
from tests.support.assertions import assert_error, assert_not_found, assert_page, concerning
from tests.support.callers import CallerKind, bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_key
from tests.support.routes import GATED_ROUTES

IN_PROJECT = "/api/projects/{project}/"


def assert_not_authenticated(response: httpx.Response, status: int) -> None:
    assert_error(
        response,
        status,
        type="authentication_error",
        code="not_authenticated",
        detail="Authentication credentials were not provided.",
    )


def assert_key_refused(response: httpx.Response, status: int, place: str = "Authorization header") -> None:
    assert_error(
        response,
        status,
        type="authentication_error",
        code="authentication_failed",
        detail=f"Personal API key found in request {place} is invalid.",
    )


async def test_request_without_a_key_is_refused_on_every_route(
    anonymous: httpx.AsyncClient, project: Project, task: Task, run: Run
) -> None:
    """Contract 2.2."""
    for route in GATED_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        response = await anonymous.request(route.method, url, json=route.body)
        with concerning(route):
            assert_not_authenticated(response, 403 if IN_PROJECT in route.path else 401)


async def test_request_with_an_unknown_key_is_refused_on_every_route(
    anonymous: httpx.AsyncClient, project: Project, task: Task, run: Run
) -> None:
    """Contract 2.2."""
    headers = bearer(new_api_key())
    for route in GATED_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        response = await anonymous.request(route.method, url, json=route.body, headers=headers)
        with concerning(route):
            assert_key_refused(response, 403 if IN_PROJECT in route.path else 401)


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(CallerKind.REVOKED, id="2.2-revoked-key"),
        pytest.param(CallerKind.INACTIVE, id="2.2-inactive-user"),
    ],
    indirect=True,
)
@pytest.mark.parametrize(
    ("path", "status"), [(f"{IN_PROJECT}tasks", 403), ("/api/users/@me", 401), ("/api/projects", 401)]
)
async def test_key_that_no_longer_counts_is_refused(
    client: httpx.AsyncClient, project: Project, path: str, status: int
) -> None:
    assert_key_refused(await client.get(path.format(project=project.id)), status)


async def test_expired_key_is_answered_as_an_unknown_one(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str, clock: MovableClock
) -> None:
    key = await make_key(session, user=owner, expires_at=clock() + timedelta(minutes=1))
    headers = {"Authorization": f"Bearer {key}"}
    clock.advance(seconds=59)
    assert_page(await anonymous.get(tasks_url, headers=headers), count=0)
    clock.advance(seconds=1)
    assert_key_refused(await anonymous.get(tasks_url, headers=headers), 403)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer {key}", id="2.2-plain"),
        pytest.param("Bearer   {key}  ", id="2.2-value-is-trimmed"),
        pytest.param("bearer {key}", id="2.2-any-case-of-the-scheme"),
    ],
)
async def test_key_in_the_header_is_accepted(
    anonymous: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str, header: str
) -> None:
    key = await make_key(session, user=owner)
    response = await anonymous.get(tasks_url, headers={"Authorization": header.format(key=key)})
    assert_page(response, count=0)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Basic dXNlcjpwYXNz", id="2.2-other-scheme"),
        pytest.param("Bearer", id="2.2-no-value"),
        pytest.param("Bearer   ", id="2.2-blank-value"),
        pytest.param("Bearerphx_x", id="2.2-no-space"),
        pytest.param("", id="2.2-empty"),
    ],
)
async def test_header_without_a_bearer_key_is_no_credential(
    anonymous: httpx.AsyncClient, tasks_url: str, header: str
) -> None:
    assert_not_authenticated(await anonymous.get(tasks_url, headers={"Authorization": header}), 403)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("pha_0123456789abcdef", id="2.2-oauth-token"),
        pytest.param("nonsense", id="2.2-no-prefix"),
        pytest.param("x" * 100_000, id="2.2-huge"),
        pytest.param("phx_\u00e9".encode().decode("latin-1"), id="2.2-not-ascii"),
    ],
)
async def test_bearer_token_of_any_form_is_refused_not_crashed_on(
    anonymous: httpx.AsyncClient, tasks_url: str, value: str
) -> None:
    headers = [(b"Authorization", b"Bearer " + value.encode("latin-1"))]
    assert_key_refused(await anonymous.get(tasks_url, headers=headers), 403)


Placed = Callable[[str], dict[str, Any]]


def in_body(key: str) -> dict[str, Any]:
    return {"json": {"personal_api_key": key}}


def in_query(key: str) -> dict[str, Any]:
    return {"params": {"personal_api_key": key}}


@pytest.mark.parametrize(
    ("placed", "place"),
    [
        pytest.param(in_body, "body", id="2.2-body"),
        pytest.param(in_query, "query string", id="2.2-query"),
    ],
)
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


@pytest.mark.parametrize(
    ("places", "answering"),
    [
        pytest.param(("header", "body", "query"), "Authorization header", id="2.2-header-first"),
        pytest.param(("body", "query"), "body", id="2.2-body-before-query"),
    ],
)
async def test_first_place_of_a_key_decides(
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    owner: User,
    tasks_url: str,
    places: tuple[str, ...],
    answering: str,
) -> None:
    """An invalid key in the first place is refused although later places hold a good one."""
    good = await make_key(session, user=owner)
    keys = {place: new_api_key() if place == places[0] else good for place in places}
    response = await anonymous.post(
        tasks_url,
        headers=bearer(keys["header"]) if "header" in keys else {},
        json={"personal_api_key": keys["body"]},
        params={"personal_api_key": keys["query"]},
    )
    assert_key_refused(response, 403, answering)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"personal_api_key": 5}', id="2.2-number"),
        pytest.param(b'{"personal_api_key": ["phx_x"]}', id="2.2-list"),
        pytest.param(b'{"personal_api_key": null}', id="2.2-null"),
        pytest.param(b'{"personal_api_key": ""}', id="2.2-empty"),
        pytest.param(b'["personal_api_key"]', id="2.2-body-is-a-list"),
        pytest.param(b"{", id="2.2-broken-json"),
    ],
)
async def test_body_without_a_readable_key_is_no_credential(
    anonymous: httpx.AsyncClient, tasks_url: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    assert_not_authenticated(await anonymous.post(tasks_url, content=body, headers=headers), 403)


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
