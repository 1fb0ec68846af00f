"""Console sessions and terminals show tasks as devices do, without a push token (contract 17.10, 16.1)."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind
from app.models import ApiKey, Presence, Project, PushToken, Run, Task, User
from app.security.secrets import hash_api_key
from app.services.accounts.console_sessions import create_login_code, sweep_sessions
from app.services.notifications import presence
from app.services.notifications import push_recipients as notifications
from app.services.notifications.devices import MAX_DEVICES, session_device
from app.services.notifications.presence import MAX_TERMINALS, sweep_silent_viewers
from app.services.notifications.push_recipients import push_to_user
from tests.support.assertions import assert_invalid, assert_not_found, concerning
from tests.support.clock import MovableClock
from tests.support.devices import expo_token, notifications_of
from tests.support.factories import make_key
from tests.support.principals import member_of
from tests.support.web.clients import in_process_client

pytestmark = pytest.mark.usefixtures("clock")

NOT_THE_CALLERS = "device_id does not match a push token registered by the caller"
SESSION = "/api/console/session"
DEVICES = "/api/users/@me/push_tokens"


@pytest.fixture
async def key(session: AsyncSession, owner: User) -> str:
    return await make_key(session, user=owner)


@pytest.fixture
async def page(application: FastAPI, key: str) -> httpx.AsyncClient:
    """A browser that has signed in."""
    page = in_process_client(application, headers={"Sec-Fetch-Site": "same-origin"})
    page.base_url = httpx.URL("https://tasks.example.com")
    assert (await page.post(SESSION, json={"api_key": key})).status_code == 201
    return page


async def device_of(page: httpx.AsyncClient) -> str:
    answer: str = (await page.get(SESSION)).json()["id"]
    return answer


async def end(sessions: SessionFactory, run: Run) -> None:
    async with unit_of_work(sessions) as session:
        await notifications.notify_people(session, NotificationKind.COMPLETED, [run.id])


async def test_session_defers_the_pushes_of_its_person(
    page: httpx.AsyncClient,
    device: PushToken,
    sessions: SessionFactory,
    task: Task,
    run: Run,
    task_url: str,
    clock: MovableClock,
) -> None:
    shown_by = await device_of(page)
    response = await page.post(f"{task_url}/presence", json={"device_id": shown_by})
    assert response.status_code == 204, response.text
    await end(sessions, run)

    [row] = await notifications_of(sessions, task)
    assert (row.device_id, row.decision, row.reason) == (device.id, "deferred", "presence")
    assert row.watching_device_id == UUID(shown_by)
    assert row.due_at == clock.now + timedelta(seconds=65)

    response = await page.delete(f"{task_url}/presence", params={"device_id": shown_by})
    assert response.status_code == 204
    [row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason) == ("not_needed", "seen")


async def test_session_of_a_login_link_is_a_device_too(
    application: FastAPI, session: AsyncSession, key: str, task_url: str
) -> None:
    key_id = await session.scalar(select(ApiKey.id).where(ApiKey.secret_hash == hash_api_key(key)))
    assert key_id is not None
    code = await create_login_code(session, key_id)
    page = in_process_client(application, headers={"Sec-Fetch-Site": "same-origin"})
    page.base_url = httpx.URL("https://tasks.example.com")
    opened = (await page.post(SESSION, json={"code": code})).json()["id"]
    assert (await page.post(f"{task_url}/presence", json={"device_id": opened})).status_code == 204


async def test_session_gets_no_pushes(
    page: httpx.AsyncClient,
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    task_url: str,
) -> None:
    await end(sessions, run)
    await push_to_user(session, owner.id, NotificationKind.DIGEST, "Two tasks need you")

    [row] = await notifications_of(sessions, task)
    assert (row.device_id, row.decision) == (None, "no_token")
    for body in ({}, {"device_id": await device_of(page)}):
        response = await page.post(f"{task_url}/notifications/test", json=body)
        assert_not_found(response, "The caller has no such device.")


async def test_session_takes_no_place_among_the_devices(page: httpx.AsyncClient, task_url: str) -> None:
    for _ in range(MAX_DEVICES + 1):
        await page.post(DEVICES, json={"token": expo_token(), "platform": "ios"})
    listed = [row["id"] for row in (await page.get(DEVICES)).json()["results"]]
    own = await device_of(page)
    assert (len(listed), own in listed) == (MAX_DEVICES, False)
    assert (await page.post(f"{task_url}/presence", json={"device_id": own})).status_code == 204


async def test_session_of_another_person_is_no_device_of_the_caller(
    application: FastAPI, client: httpx.AsyncClient, session: AsyncSession, colleague: User, task_url: str
) -> None:
    page = in_process_client(application)
    page.base_url = httpx.URL("https://tasks.example.com")
    key = await make_key(session, user=colleague)
    foreign = (await page.post(SESSION, json={"api_key": key})).json()["id"]
    response = await client.post(f"{task_url}/presence", json={"device_id": foreign})
    assert_not_found(response, NOT_THE_CALLERS)


async def sweep(session: AsyncSession) -> None:
    await sweep_sessions(session)
    await sweep_silent_viewers(session)


@pytest.mark.parametrize("how", ["signed out", "idle", "key deleted"])
async def test_device_goes_with_its_session(
    page: httpx.AsyncClient,
    device: PushToken,
    session: AsyncSession,
    task_url: str,
    clock: MovableClock,
    how: str,
) -> None:
    """Others stay, whatever their sessions do."""
    opened = await device_of(page)
    await page.post(f"{task_url}/presence", json={"device_id": opened})
    match how:
        case "signed out":
            await page.delete(SESSION)
        case "idle":
            await sweep(session)
            assert await session.scalar(select(PushToken.id).where(PushToken.id == UUID(opened)))
            clock.advance(days=14)
            await sweep(session)
        case _:
            await session.execute(delete(ApiKey))
            clock.advance(minutes=1)
            await sweep(session)
    assert (await session.scalars(select(PushToken.id))).all() == [device.id]
    assert (await session.scalars(select(Presence.task_id))).all() == []


async def test_terminal_defers_pushes_and_gets_none(
    client: httpx.AsyncClient,
    device: PushToken,
    sessions: SessionFactory,
    session: AsyncSession,
    colleague: User,
    task: Task,
    run: Run,
    task_url: str,
    clock: MovableClock,
) -> None:
    terminal = str(uuid4())
    body = {"device_id": terminal, "kind": "terminal"}
    for _ in range(2):
        assert (await client.post(f"{task_url}/presence", json=body)).status_code == 204
    assert terminal not in (await client.get(DEVICES)).text
    response = await client.post(f"{task_url}/notifications/test", json={"device_id": terminal})
    assert_not_found(response, "The caller has no such device.")
    await end(sessions, run)
    [row] = await notifications_of(sessions, task)
    assert (row.device_id, row.decision, row.reason) == (device.id, "deferred", "presence")
    assert row.watching_device_id == UUID(terminal)
    left = await client.delete(f"{task_url}/presence", params={"device_id": terminal})
    assert left.status_code == 204
    [row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason) == ("not_needed", "seen")

    # It lasts as long as it beats, whatever is swept.
    clock.advance(minutes=10)
    assert (await client.post(f"{task_url}/presence", json=body)).status_code == 204
    await sweep(session)
    assert await session.scalar(select(Presence.expires_at)) == clock.now + timedelta(seconds=60)
    clock.advance(seconds=60)
    await sweep(session)
    assert await session.get(PushToken, UUID(terminal)) is None

    theirs = PushToken(
        id=uuid4(), user_id=colleague.id, token="", token_hash=b"x" * 32, platform="web",
        created_at=clock.now, last_seen_at=clock.now,
    )  # fmt: skip
    session.add(theirs)
    await session.commit()
    for id_, url, detail in (
        (theirs.id, task_url, NOT_THE_CALLERS),
        (uuid4(), f"{task_url[:-36]}{uuid4()}", None),
    ):
        with concerning(id_):
            beat = {"device_id": str(id_), "kind": "terminal"}
            assert_not_found(await client.post(f"{url}/presence", json=beat), *filter(None, [detail]))
    assert list(await session.scalars(select(PushToken.id).where(PushToken.token == ""))) == [theirs.id]
    assert_invalid(
        await client.post(f"{task_url}/presence", json=body | {"kind": "tv"}), "kind", "invalid_choice"
    )


async def test_terminal_that_a_live_stream_shows_is_not_swept(
    client: httpx.AsyncClient,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
    task_url: str,
    clock: MovableClock,
) -> None:
    """Regression: the sweep looked at reports only, deleted the device, and the stream's next beat found none."""
    terminal = uuid4()
    body = {"device_id": str(terminal), "kind": "terminal"}
    assert (await client.post(f"{task_url}/presence", json=body)).status_code == 204
    for _ in range(3):
        clock.advance(seconds=25)
        async with unit_of_work(sessions) as streaming:
            await presence.beat(streaming, member_of(project, owner), task.id, terminal)
    await sweep(session)
    assert await session.scalar(select(Presence.expires_at)) == clock.now + timedelta(seconds=60)


async def test_terminals_of_a_person_are_limited_while_they_beat(
    client: httpx.AsyncClient, session: AsyncSession, owner: User, task_url: str, clock: MovableClock
) -> None:
    """Regression: each new id was a row, until the sweep of the hour. Sessions of the console do not count."""
    ids = [uuid4() for _ in range(MAX_TERMINALS)]
    session.add_all(session_device(id_, owner.id) for id_ in ids)
    await session.commit()
    body = {"device_id": str(uuid4()), "kind": "terminal"}

    refused = await client.post(f"{task_url}/presence", json=body)
    assert_invalid(refused, "device_id", "max_length")
    assert "100 terminals" in refused.text
    known = await client.post(f"{task_url}/presence", json=body | {"device_id": str(ids[0])})
    assert known.status_code == 204

    clock.advance(seconds=60)
    assert (await client.post(f"{task_url}/presence", json=body)).status_code == 204
    assert list(await session.scalars(select(PushToken.id).where(PushToken.token == ""))) == [
        UUID(body["device_id"])
    ]
