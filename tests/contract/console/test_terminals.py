"""Sign-in of a terminal by a code (contract 21)."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.models import ApiKey, Project, TerminalLogin, User
from app.services.accounts.terminal_logins import LIFETIME, sweep_logins
from tests.support.assertions import assert_error, assert_invalid, assert_not_found, concerning
from tests.support.callers import bearer
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_key, make_project, make_user
from tests.support.web.clients import in_process_client

LOGIN = "/api/cli/login"
ALL = ["task:write", "webhook:write", "user:write", "project:read"]
JSON = dict[str, Any]


async def begin(anonymous: httpx.AsyncClient, client: str = "ada@laptop") -> JSON:
    answer = await anonymous.post(f"{LOGIN}/", json={"client": client})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made: JSON = answer.json()
    return made


async def fetch(anonymous: httpx.AsyncClient, clock: MovableClock, made: JSON) -> httpx.Response:
    """Ask for the key, a while after the last time."""
    clock.advance(seconds=made["interval"])
    return await anonymous.post(f"{LOGIN}/token", json={"device_code": made["device_code"]})


_STATUS, _DETAILS = (
    400,
    {
        "authorization_pending": "Nobody has confirmed the code yet.",
        "slow_down": "Ask less often.",
        "access_denied": "The sign-in was refused.",
        "expired_token": "The code is unknown, used or too old.",
    },
)


def assert_refused(answer: httpx.Response, code: str) -> None:
    assert_error(answer, _STATUS, type="invalid_request", code=code, detail=_DETAILS[code])


async def test_terminal_gets_a_key_of_the_person_who_confirms(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    application: FastAPI,
    session: AsyncSession,
    project: Project,
    owner: User,
    clock: MovableClock,
) -> None:
    began = wire_time(clock)
    made = await begin(anonymous)
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", made["user_code"])
    assert (made["expires_in"], made["interval"]) == (600, 2)
    assert made["verification_uri"] == f"{anonymous.base_url}/console/device"
    stored = (await session.scalars(select(TerminalLogin))).one()
    for code in (made["device_code"], made["user_code"], made["user_code"].replace("-", "")):
        assert code not in str(vars(stored))
    assert_refused(await fetch(anonymous, clock, made), "authorization_pending")

    typed = made["user_code"].lower().replace("-", " ")
    shown = (await client.get(f"{LOGIN}/{typed}")).json()
    assert shown["client"] == "ada@laptop"
    assert shown["address"] == stored.address != ""
    assert (shown["created_at"], shown["scopes"]) == (began, ALL)
    assert (
        await client.post(f"{LOGIN}/{typed}/approve/", json={"project_id": project.id})
    ).status_code == 204

    answer = await fetch(anonymous, clock, made)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    key = answer.json()
    value = key.pop("api_key")
    assert key == {
        "project_id": project.id,
        "user": {"id": owner.id, "email": owner.email},
        "scopes": ALL,
    }
    assert_refused(await fetch(anonymous, clock, made), "expired_token")
    async with in_process_client(application, headers=bearer(value)) as terminal:
        assert (await terminal.get("/api/users/@me")).json()["id"] == owner.id
        listed = (await terminal.get("/api/users/@me/api_keys")).json()["results"]
        assert [(each["label"], each["expires_at"]) for each in listed if each["current"]] == [
            ("ada@laptop", None)
        ]


async def test_codes_that_are_refused_decided_or_too_old_give_no_key(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    clock: MovableClock,
) -> None:
    refused, confirmed, late = [await begin(anonymous) for _ in range(3)]
    assert (await client.post(f"{LOGIN}/{refused['user_code']}/deny")).status_code == 204
    body = {"project_id": project.id}
    assert (await client.post(f"{LOGIN}/{confirmed['user_code']}/approve", json=body)).status_code == 204
    for made in (refused, confirmed):
        with concerning(made):
            assert_not_found(await client.get(f"{LOGIN}/{made['user_code']}"))
            assert_not_found(await client.post(f"{LOGIN}/{made['user_code']}/deny"))
    assert_refused(await fetch(anonymous, clock, refused), "access_denied")
    assert_refused(await fetch(anonymous, clock, refused), "access_denied")

    clock.advance(seconds=600)
    assert_not_found(await client.post(f"{LOGIN}/{late['user_code']}/approve", json=body))
    for made in (refused, confirmed, late, {"device_code": "nothing", "interval": 2}):
        with concerning(made):
            assert_refused(await fetch(anonymous, clock, made), "expired_token")
    assert await sweep_logins(session) == 3
    assert await session.scalar(select(func.count(TerminalLogin.id))) == 0


async def test_key_can_do_no_more_than_the_one_that_confirms(
    anonymous: httpx.AsyncClient,
    application: FastAPI,
    session: AsyncSession,
    project: Project,
    owner: User,
    clock: MovableClock,
) -> None:
    ends = utcnow().replace(year=utcnow().year + 1)
    scopes = [Scope.USER_WRITE, Scope.TASK_READ]
    little = await make_key(session, user=owner, scopes=scopes, projects=[project.id], expires_at=ends)
    elsewhere = await make_project(session)
    await make_user(session, projects=[elsewhere])
    made = await begin(anonymous, client="x" * 80)
    async with in_process_client(application, headers=bearer(little)) as person:
        path = f"{LOGIN}/{made['user_code']}"
        assert (await person.get(path)).json()["scopes"] == ["task:read", "user:write"]
        for wrong in (elsewhere.id, 2**62):
            with concerning(wrong):
                refused = await person.post(f"{path}/approve", json={"project_id": wrong})
                assert_invalid(refused, "project_id", "does_not_exist")
        assert (await person.post(f"{path}/approve", json={"project_id": project.id})).status_code == 204

    value = (await fetch(anonymous, clock, made)).json()["api_key"]

    async with in_process_client(application, headers=bearer(value)) as terminal:
        listed = (await terminal.get("/api/users/@me/api_keys")).json()["results"]
    (key,) = [each for each in listed if each["current"]]
    assert (key["label"], key["scopes"], key["scoped_teams"]) == (
        "x" * 40,
        ["task:read", "user:write"],
        [project.id],
    )
    assert key["expires_at"] == ends.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("loss", ["revoked", "deactivated"])
async def test_who_lost_the_right_meanwhile_gives_no_key(
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    clock: MovableClock,
    loss: str,
) -> None:
    made = await begin(anonymous)
    body = {"project_id": project.id}
    assert (await client.post(f"{LOGIN}/{made['user_code']}/approve", json=body)).status_code == 204
    if loss == "revoked":
        await session.execute(update(ApiKey).where(ApiKey.user_id == owner.id).values(revoked_at=utcnow()))
    else:
        await session.execute(update(User).where(User.id == owner.id).values(is_active=False))
    keys = await session.scalar(select(func.count(ApiKey.id)))

    assert_refused(await fetch(anonymous, clock, made), "access_denied")

    assert await session.scalar(select(func.count(ApiKey.id))) == keys


async def test_questions_and_codes_are_counted(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, clock: MovableClock
) -> None:
    """Also of codes that nobody has begun, so that trying them tells nothing."""
    made = await begin(anonymous)
    assert_refused(await fetch(anonymous, clock, made), "authorization_pending")
    again = await anonymous.post(f"{LOGIN}/token", json={"device_code": made["device_code"]})
    assert_refused(again, "slow_down")
    assert_refused(await fetch(anonymous, clock, made), "authorization_pending")

    clock.advance(minutes=1)
    for code in ("BBBB-BBBB", "nothing", "%00", "x" * 2000, *["BCDF-GHJK"] * 6):
        with concerning(code):
            assert_not_found(await client.get(f"{LOGIN}/{code}"))
    for known in (made["user_code"], "BCDF-GHJK"):
        with concerning(known):
            answer = await client.get(f"{LOGIN}/{known}")
            assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    clock.advance(seconds=60)
    assert (await client.get(f"{LOGIN}/{made['user_code']}")).status_code == 200


async def test_bad_terminals_are_refused(anonymous: httpx.AsyncClient) -> None:
    for body, code in (
        ({}, "required"),
        ({"client": ""}, "blank"),
        ({"client": "x" * 81}, "max_length"),
        ({"client": "a\0b"}, "null_characters_not_allowed"),
        ({"client": []}, "invalid_input"),
    ):
        with concerning(body):
            assert_invalid(await anonymous.post(LOGIN, json=body), "client", code)
    assert_invalid(await anonymous.post(f"{LOGIN}/token", json={}), "device_code", "required")
    for path in ("BCDF-GHJK", "BCDF-GHJK/approve"):
        answer = await anonymous.request("POST" if "/" in path else "GET", f"{LOGIN}/{path}", json={})
        with concerning(path):
            assert answer.status_code == 401


async def test_sign_ins_that_wait_from_one_address_are_limited(
    anonymous: httpx.AsyncClient, session: AsyncSession, clock: MovableClock
) -> None:
    """Regression: each request was a row, until the sweep of the hour. Those of other addresses do not count."""
    await begin(anonymous)
    address = await session.scalar(select(TerminalLogin.address))
    times = {"created_at": clock.now, "expires_at": clock.now + LIFETIME}
    for other in (address, "192.0.2.1"):
        names = [f"{other} {number}" for number in range(99)]
        session.add_all(
            TerminalLogin(id=uuid4(), device_hash=name, code_hash=name, client="x", address=other, **times)
            for name in names
        )
    await session.commit()
    clock.advance(minutes=2)

    answer = await anonymous.post(LOGIN, json={"client": "one more"})
    assert answer.status_code == 429, answer.text
    assert answer.headers["retry-after"] == "480"

    clock.advance(minutes=8)
    await begin(anonymous)
