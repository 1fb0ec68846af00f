"""Sessions of the console (contract 17): sign in, act as the key, refuse other sites, end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import Scope
from app.models import ApiKey, ConsoleSession, Project, PushToken, Task, User
from app.runtime import ProcessContext
from app.security.secrets import hash_api_key, new_api_key
from app.services.access.caller_cache import CallerCache
from app.services.accounts.console_sessions import MAX_SESSIONS, create_login_code, sweep_sessions
from tests.support.assertions import (
    assert_error,
    assert_invalid,
    assert_key_refused,
    assert_not_authenticated,
    assert_not_found,
    assert_page,
    assert_permission_denied,
    concerning,
)
from tests.support.callers import bearer
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_key, make_project, make_user
from tests.support.questions import make_question
from tests.support.web.clients import in_process_client

SESSION = "/api/console/session/"
SESSIONS = "/api/console/sessions/"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
ELSEWHERE = "A request with the console's cookie must come from the console's own page."

Browser = Callable[[str], httpx.AsyncClient]


@pytest.fixture
def browser(application: FastAPI) -> Browser:
    """Make a browser at an origin of the service; it sends what a browser's own page sends."""

    def open_at(origin: str) -> httpx.AsyncClient:
        client = in_process_client(application, headers=OWN_PAGE | {"User-Agent": "Browser/1"})
        client.base_url = httpx.URL(origin)
        return client

    return open_at


@pytest.fixture
def page(browser: Browser) -> httpx.AsyncClient:
    return browser("https://tasks.example.com")


@pytest.fixture
async def key(session: AsyncSession, owner: User) -> str:
    return await make_key(session, user=owner)


async def key_id(session: AsyncSession, key: str) -> UUID:
    found = await session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == hash_api_key(key)))
    assert found is not None
    return found


async def sign_in(page: httpx.AsyncClient, key: str) -> dict[str, Any]:
    response = await page.post(SESSION, json={"api_key": key})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def assert_ended(response: httpx.Response, status: int = 401) -> None:
    assert_error(
        response,
        status,
        type="authentication_error",
        code="authentication_failed",
        detail="The console session has ended.",
    )


async def test_session_is_opened_by_a_key(
    page: httpx.AsyncClient, key: str, owner: User, project: Project, clock: MovableClock
) -> None:
    response = await page.post(SESSION, json={"api_key": key})
    assert response.status_code == 201
    opened = response.json()
    assert opened["user"]["id"] == owner.id
    assert opened["projects"] == [
        {"id": project.id, "name": project.name, "organization": str(project.organization_id)}
    ]
    assert opened["scopes"] == ["*"]
    assert opened["created_at"] == wire_time(clock)
    clock.advance(days=30)
    assert opened["expires_at"] == wire_time(clock)
    clock.advance(days=-30)
    assert (await page.get(SESSION)).json() == opened
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("origin", "name", "secure"),
    [
        ("https://tasks.example.com", "__Host-taskbeacon", True),
        ("https://localhost:8443", "__Host-taskbeacon", True),
        ("http://localhost:8000", "taskbeacon", False),
        ("http://127.0.0.1:8000", "taskbeacon", False),
        ("http://[::1]:8000", "taskbeacon", False),
    ],
)
async def test_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: Browser, key: str, origin: str, name: str, *, secure: bool
) -> None:
    response = await browser(origin).post(SESSION, json={"api_key": key})
    cookie, *attributes = response.headers["Set-Cookie"].split("; ")
    assert cookie.partition("=")[0] == name
    assert len(cookie.partition("=")[2]) == 43
    expected = {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"}
    assert set(attributes) == expected | ({"Secure"} if secure else set())


async def test_cookie_does_not_travel_in_the_clear(browser: Browser, key: str, session: AsyncSession) -> None:
    """Over http to another machine there is no signing in, and a cookie that comes that way opens nothing."""
    plain = browser("http://tasks.example.com")
    assert_permission_denied(
        await plain.post(SESSION, json={"api_key": key}), "The console needs https, except on localhost."
    )
    assert await session.scalar(select(ConsoleSession.id)) is None
    local = browser("http://localhost:8000")
    await sign_in(local, key)
    cookie = {"Cookie": f"taskbeacon={local.cookies['taskbeacon']}"}
    assert (await local.get(SESSION)).status_code == 200
    assert_not_authenticated(await plain.get(SESSION, headers=cookie), 401)


async def test_of_two_cookies_that_of_the_whole_site_counts(browser: Browser, key: str) -> None:
    """Another server on the loopback can plant one for a path; browsers send longer paths first."""
    page = browser("http://localhost:8000")
    await page.post(SESSION, json={"api_key": key}, headers=OWN_PAGE)
    own = page.cookies["taskbeacon"]
    page.cookies.clear()
    for cookies, status in (
        (f"taskbeacon=planted; taskbeacon={own}", 200),
        (f"taskbeacon={own}; taskbeacon=x", 401),
    ):
        assert (await page.get(SESSION, headers={"Cookie": cookies})).status_code == status


async def test_only_the_hash_of_the_cookie_is_kept(
    page: httpx.AsyncClient, key: str, session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="app")
    await sign_in(page, key)
    secret = page.cookies["__Host-taskbeacon"]
    row = (await session.execute(select(ConsoleSession.__table__))).one()
    assert secret not in str(row)
    assert row.secret_hash.startswith("session$")
    assert secret not in caplog.text
    assert key not in caplog.text


async def test_session_acts_as_its_key(
    page: httpx.AsyncClient, session: AsyncSession, owner: User, project: Project, task: Task
) -> None:
    """Scopes and projects are those of the key, and change with it."""
    key = await make_key(session, user=owner, scopes=[Scope.TASK_READ], projects=[project.id])
    tasks = f"/api/projects/{project.id}/tasks/"
    opened = await sign_in(page, key)
    assert opened["scopes"] == ["task:read"]
    assert assert_page(await page.get(tasks), count=1)[0]["id"] == str(task.id)
    assert assert_page(await page.get("/api/projects/@current/tasks/"), count=1)
    refused = await page.post(tasks, json={"title": "made"})
    assert_permission_denied(refused, "API key missing required scope 'task:write'")
    assert_permission_denied(await page.get(SESSIONS), "API key missing required scope 'user:read'")
    other = await make_project(session, name="Elsewhere")
    refused = await page.get(f"/api/projects/{other.id}/tasks/")
    assert_permission_denied(refused, "You don't have access to the project.")
    await session.execute(update(ApiKey).values(scopes=["task:write"]))
    assert (await page.post(tasks, json={"title": "made"})).status_code == 201


async def test_key_outranks_the_cookie(
    page: httpx.AsyncClient, session: AsyncSession, key: str, project: Project
) -> None:
    """A request with a key gets the same response with and without a cookie (contract 2.2)."""
    await sign_in(page, key)
    tasks = f"/api/projects/{project.id}/tasks/"
    unknown = new_api_key()
    assert_key_refused(await page.get(tasks, headers=bearer(unknown)), 403)
    assert_key_refused(await page.get(tasks, params={"personal_api_key": unknown}), 403, "query string")
    assert_key_refused(await page.post(tasks, json={"personal_api_key": unknown}), 403, "body")
    assert_not_authenticated(await page.get(tasks, headers={"Authorization": "Basic eDp5"}), 403)
    # A page of another site that knows a key may use it, as every program may.
    other = await make_key(session, user=await make_user(session, projects=[project]))
    headers = bearer(other) | {"Sec-Fetch-Site": "cross-site"}
    assert (await page.post(tasks, json={"title": "made"}, headers=headers)).status_code == 201
    assert_key_refused(await page.get(tasks, headers=bearer(page.cookies["__Host-taskbeacon"])), 403)


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        # The browser's own word counts, whatever else there is.
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://tasks.example.com"}, False),
        ({"Origin": "https://tasks.example.com"}, True),
        ({"Origin": "https://tasks.example.com:8443"}, False),
        ({"Origin": "http://tasks.example.com"}, False),
        ({"Origin": "https://evil.example.com"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
async def test_request_that_changes_something_comes_from_our_own_page(
    page: httpx.AsyncClient, key: str, project: Project, headers: dict[str, str], *, is_own: bool
) -> None:
    await sign_in(page, key)
    del page.headers["Sec-Fetch-Site"]
    tasks = f"/api/projects/{project.id}/tasks/"
    made = await page.post(tasks, json={"title": "made"}, headers=headers)
    left = await page.delete(SESSION, headers=headers)
    for response, status in ((made, 201), (left, 204)):
        with concerning(response.request):
            if is_own:
                assert response.status_code == status
            else:
                assert_permission_denied(response, ELSEWHERE)
    if not is_own:
        assert_page(await page.get(tasks, headers=headers), count=0)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example.com"}]
)
async def test_page_of_another_site_cannot_sign_a_browser_in(
    page: httpx.AsyncClient, key: str, session: AsyncSession, headers: dict[str, str]
) -> None:
    del page.headers["Sec-Fetch-Site"]
    response = await page.post(SESSION, json={"api_key": key}, headers=headers)
    assert_permission_denied(response, "Signing in must be asked for by the console's own page.")
    assert await session.scalar(select(ConsoleSession.id)) is None


async def test_what_does_not_sign_in(page: httpx.AsyncClient, key: str) -> None:
    both = "Give exactly one of api_key and code."
    assert_invalid(await page.post(SESSION, json={}), None, "invalid_input", both)
    assert_invalid(await page.post(SESSION, json={"api_key": key, "code": "x"}), None, "invalid_input", both)
    assert_key_refused(await page.post(SESSION, json={"api_key": new_api_key()}), 401, "body")
    assert_not_authenticated(await page.get(SESSION), 401)
    assert_not_authenticated(await page.delete(SESSION), 401)
    # A key is no session.
    assert_not_authenticated(await page.get(SESSION, headers=bearer(key)), 401)
    assert_ended(await page.get(SESSION, headers={"Cookie": f"__Host-taskbeacon={key}"}))


class TestLoginLink:
    """`taskbeacon console` prints a link with a code."""

    async def test_link_used_twice_opens_one_session(
        self, browser: Browser, session: AsyncSession, key: str, owner: User
    ) -> None:
        code = await create_login_code(session, await key_id(session, key))
        origin = "https://tasks.example.com"
        answers = await asyncio.gather(
            *(browser(origin).post(SESSION, json={"code": code}) for _ in range(2))
        )
        first, second = sorted(answers, key=lambda answer: answer.status_code)
        assert first.status_code == 201
        assert first.json()["user"]["id"] == owner.id
        detail = "This login link was used already, or is too old."
        assert_error(second, 401, type="authentication_error", code="authentication_failed", detail=detail)

    async def test_is_valid_for_a_minute(
        self, page: httpx.AsyncClient, session: AsyncSession, key: str, clock: MovableClock
    ) -> None:
        codes = [await create_login_code(session, await key_id(session, key)) for _ in range(2)]
        clock.advance(seconds=59)
        assert (await page.post(SESSION, json={"code": codes[0]})).status_code == 201
        clock.advance(seconds=1)
        assert (await page.post(SESSION, json={"code": codes[1]})).status_code == 401

    async def test_is_no_session_itself(
        self, page: httpx.AsyncClient, session: AsyncSession, key: str
    ) -> None:
        code = await create_login_code(session, await key_id(session, key))
        assert_ended(await page.get(SESSION, headers={"Cookie": f"__Host-taskbeacon={code}"}))
        await sign_in(page, key)
        assert len((await page.get(SESSIONS)).json()["results"]) == 1

    async def test_ends_with_its_key(self, page: httpx.AsyncClient, session: AsyncSession, key: str) -> None:
        code = await create_login_code(session, await key_id(session, key))
        await session.execute(update(ApiKey).values(revoked_at=ApiKey.created_at))
        assert_ended(await page.post(SESSION, json={"code": code}))


class TestEnd:
    """A session ends with its key, its user's account, its time, or when it is asked to."""

    @pytest.mark.parametrize("what", ["revoked", "expired", "inactive", "deleted"])
    async def test_session_ends_with_its_key(
        self,
        page: httpx.AsyncClient,
        session: AsyncSession,
        owner: User,
        key: str,
        tasks_url: str,
        clock: MovableClock,
        what: str,
    ) -> None:
        """At once: no caller is cached here. Elsewhere within a second (tests/services/access/test_caller_cache.py)."""
        await sign_in(page, key)
        which = ApiKey.secret_hash == hash_api_key(key)
        match what:
            case "revoked":
                await session.execute(update(ApiKey).where(which).values(revoked_at=clock.now))
            case "expired":
                await session.execute(update(ApiKey).where(which).values(expires_at=clock.now))
            case "inactive":
                await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
            case _:
                await session.delete(await session.get_one(ApiKey, await key_id(session, key)))
                await session.flush()
        assert_ended(await page.get(SESSION))
        assert_ended(await page.get(tasks_url), 403)

    async def test_within_a_second_where_callers_are_cached(
        self,
        application: FastAPI,
        process: ProcessContext,
        page: httpx.AsyncClient,
        session: AsyncSession,
        key: str,
    ) -> None:
        """As keys do: the API asks the database again at most a second later."""
        times = [0.0]
        application.state.process = replace(process, callers=CallerCache(clock=lambda: times[-1]))
        await sign_in(page, key)
        assert (await page.get(SESSION)).status_code == 200
        await session.execute(update(ApiKey).values(revoked_at=ApiKey.created_at))
        times.append(0.999)
        assert (await page.get(SESSION)).status_code == 200
        times.append(1.0)
        assert_ended(await page.get(SESSION))

    async def test_not_while_it_is_used(self, page: httpx.AsyncClient, key: str, clock: MovableClock) -> None:
        await sign_in(page, key)
        clock.advance(days=13, hours=23)
        assert (await page.get(SESSION)).status_code == 200
        clock.advance(days=13, hours=23)
        assert (await page.get(SESSION)).status_code == 200
        clock.advance(days=1)
        assert (await page.get(SESSION)).status_code == 200

    async def test_after_two_weeks_without_use(
        self, page: httpx.AsyncClient, key: str, clock: MovableClock
    ) -> None:
        await sign_in(page, key)
        clock.advance(days=14)
        assert_ended(await page.get(SESSION))

    async def test_after_thirty_days_of_use(
        self, page: httpx.AsyncClient, session: AsyncSession, key: str, clock: MovableClock
    ) -> None:
        await sign_in(page, key)
        for _ in range(29):
            clock.advance(days=1)
            assert (await page.get(SESSION)).status_code == 200
        assert await sweep_sessions(session) == 0
        clock.advance(days=1)
        assert_ended(await page.get(SESSION))
        assert await sweep_sessions(session) == 1

    async def test_signing_out_ends_the_session(self, page: httpx.AsyncClient, key: str) -> None:
        await sign_in(page, key)
        cookie = {"Cookie": f"__Host-taskbeacon={page.cookies['__Host-taskbeacon']}"}
        response = await page.delete(SESSION)
        assert response.status_code == 204
        assert response.headers["Set-Cookie"].startswith("__Host-taskbeacon=; Path=/; Max-Age=0; ")
        assert not page.cookies
        assert_not_authenticated(await page.get(SESSION), 401)
        assert_ended(await page.get(SESSION, headers=cookie))

    async def test_user_lists_and_ends_own_sessions_one_by_one(
        self, browser: Browser, session: AsyncSession, key: str, owner: User
    ) -> None:
        """The user's sessions are listed over all their keys, and only theirs can be ended."""
        here, there = browser("https://tasks.example.com"), browser("https://tasks.example.com")
        first, second = await sign_in(here, key), await sign_in(there, await make_key(session, user=owner))
        stranger = browser("https://tasks.example.com")
        third = await sign_in(stranger, await make_key(session, user=await make_user(session)))
        rows = (await here.get(SESSIONS)).json()["results"]
        assert {row["id"]: row["current"] for row in rows} == {first["id"]: True, second["id"]: False}
        assert rows[0] | {"id": first["id"], "current": True} == {
            "id": first["id"],
            "created_at": rows[0]["created_at"],
            "last_used_at": rows[0]["last_used_at"],
            "user_agent": "Browser/1",
            "address": "127.0.0.1",
            "current": True,
        }
        assert_not_found(await here.delete(f"{SESSIONS}{third['id']}/"))
        assert_not_found(await here.delete(f"{SESSIONS}nonsense/"))
        assert (await here.delete(f"{SESSIONS}{second['id']}/")).status_code == 204
        assert_ended(await there.get(SESSION))
        assert (await stranger.get(SESSION)).status_code == 200
        assert_not_found(await here.delete(f"{SESSIONS}{second['id']}/"))


async def test_sign_in_ends_the_session_of_its_key_that_was_used_least_recently(
    browser: Browser, session: AsyncSession, key: str, owner: User, clock: MovableClock
) -> None:
    other = browser("https://tasks.example.com")
    await sign_in(other, await make_key(session, user=owner))
    clock.advance(seconds=1)
    first = browser("https://tasks.example.com")
    await sign_in(first, key)
    for _ in range(MAX_SESSIONS - 1):
        clock.advance(seconds=1)
        await sign_in(browser("https://tasks.example.com"), key)
    assert (await first.get(SESSION)).status_code == 200
    clock.advance(seconds=1)
    await sign_in(browser("https://tasks.example.com"), key)

    assert_ended(await first.get(SESSION))
    assert len((await other.get(SESSIONS)).json()["results"]) == MAX_SESSIONS + 1
    devices = select(func.count(PushToken.id)).where(PushToken.user_id == owner.id)
    assert await session.scalar(devices) == MAX_SESSIONS + 1


async def test_answer_by_a_session_is_the_consoles(
    page: httpx.AsyncClient, session: AsyncSession, key: str, project: Project, task: Task
) -> None:
    """Answers by the endpoint and by a command are both attributed to the console."""
    await sign_in(page, key)
    base = f"/api/projects/{project.id}"
    question = await make_question(session, task=task)
    response = await page.post(f"{base}/questions/{question.id}/answer/", json={"option_id": "allow"})
    assert response.json()["answered_via"] == "console"
    other = await make_question(session, task=task)
    command = {
        "jsonrpc": "2.0",
        "method": "permission_response",
        "params": {"requestId": other.request_id, "optionId": "allow"},
    }
    response = await page.post(f"{base}/tasks/{task.id}/runs/{other.run_id}/command/", json=command)
    assert response.status_code == 200, response.text
    rows = (await page.get("/api/users/@me/inbox/", params={"status": "all"})).json()["results"]
    assert {row["id"]: row["answered_via"] for row in rows} == {
        str(question.id): "console",
        str(other.id): "console",
    }
