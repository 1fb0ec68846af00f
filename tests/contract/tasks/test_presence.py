"""Presence over HTTP (contract 5.6, 5.7, 7.1)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.errors import NotFound
from app.ids import new_id
from app.models import Presence, Project, PushToken, Task, User
from app.services.access.principal import Principal, ProjectRef
from app.services.notifications import presence
from tests.concurrency.races import race
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.devices import make_device, make_presence
from tests.support.makers import NewTask

NOT_THE_CALLERS = "device_id does not match a push token registered by the caller"


@pytest.fixture
def url(task_url: str) -> str:
    return f"{task_url}/presence/"


@pytest.fixture
async def second(session: AsyncSession, owner: User) -> PushToken:
    """Another device of the owner."""
    return await make_device(session, user=owner)


@pytest.fixture
async def foreign(session: AsyncSession, colleague: User) -> PushToken:
    return await make_device(session, user=colleague)


async def rows(session: AsyncSession) -> list[tuple[UUID, UUID, datetime]]:
    columns = (Presence.task_id, Presence.push_token_id, Presence.expires_at)
    found = await session.execute(select(*columns).order_by(Presence.expires_at))
    return [(row.task_id, row.push_token_id, row.expires_at) for row in found]


async def watching(session: AsyncSession) -> list[UUID]:
    return [device_id for _, device_id, _ in await rows(session)]


def body_of(device_id: object) -> dict[str, Any]:
    return {"device_id": str(device_id)}


async def test_beats_let_the_device_watch_for_exactly_a_minute_more(
    client: httpx.AsyncClient,
    session: AsyncSession,
    clock: MovableClock,
    url: str,
    task: Task,
    device: PushToken,
) -> None:
    for _ in range(2):
        response = await client.post(url, json=body_of(device.id))
        assert (response.status_code, response.content) == (204, b"")
        assert await rows(session) == [(task.id, device.id, clock.now + timedelta(seconds=60))]
        clock.advance(seconds=30)


async def test_beat_is_one_statement_after_authentication(
    client: httpx.AsyncClient, engine: AsyncEngine, url: str, device: PushToken
) -> None:
    # The first request notes the use of the key.
    await client.post(url, json=body_of(device.id))
    async with recorded(engine) as statements:
        await client.post(url, json=body_of(device.id))
    assert len(statements) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "required"), ({"device_id": None}, "null"), ({"device_id": "my phone"}, "invalid_input")],
)
async def test_beat_refuses_bad_devices_before_it_looks_for_the_task(
    client: httpx.AsyncClient, tasks_url: str, body: dict[str, object], code: str
) -> None:
    assert_invalid(await client.post(f"{tasks_url}/{new_id()}/presence", json=body), "device_id", code)


async def test_task_that_is_not_visible_is_not_found(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    colleague: User,
    tasks_url: str,
    device: PushToken,
) -> None:
    private, deleted = await new_task(colleague), await new_task(deleted=True)
    for task_id in (private.id, deleted.id, new_id()):
        url = f"{tasks_url}/{task_id}/presence"
        assert_not_found(await client.post(url, json=body_of(device.id)))
        assert_not_found(await client.request("DELETE", url, json=body_of(device.id)))
    assert await rows(session) == []


async def test_beat_of_a_device_that_is_not_the_callers_is_not_found(
    client: httpx.AsyncClient, session: AsyncSession, url: str, foreign: PushToken
) -> None:
    for device_id in (foreign.id, new_id()):
        assert_not_found(await client.post(url, json=body_of(device_id)), NOT_THE_CALLERS)
    assert await rows(session) == []


@pytest.mark.parametrize("place", ["json", "params"])
async def test_leaving_ends_the_presence_of_that_device_only(
    client: httpx.AsyncClient,
    session: AsyncSession,
    url: str,
    task: Task,
    device: PushToken,
    second: PushToken,
    place: str,
) -> None:
    for each in (device, second):
        await make_presence(session, task=task, device=each)
    given: dict[str, Any] = {place: body_of(device.id)}
    for _ in range(2):
        response = await client.request("DELETE", url, **given)
        assert (response.status_code, response.content) == (204, b"")
    assert await watching(session) == [second.id]
    wrong: dict[str, Any] = {place: {"device_id": "my phone"}}
    assert_invalid(await client.request("DELETE", url, **wrong), "device_id", "invalid_input")


async def test_leaving_with_a_foreign_or_unknown_device_is_204_and_changes_nothing(
    client: httpx.AsyncClient, session: AsyncSession, url: str, task: Task, foreign: PushToken
) -> None:
    await make_presence(session, task=task, device=foreign)
    for device_id in (foreign.id, new_id()):
        response = await client.request("DELETE", url, json=body_of(device_id))
        assert response.status_code == 204
    assert await watching(session) == [foreign.id]


@pytest.mark.parametrize("query", ["", "?device_id="])
async def test_leaving_without_a_device_is_refused(client: httpx.AsyncClient, url: str, query: str) -> None:
    assert_invalid(await client.delete(url.rstrip("/") + query), "device_id", "required")


@pytest.mark.usefixtures("clock")
async def test_sweeper_removes_what_expired_and_nothing_else(
    session: AsyncSession, task: Task, device: PushToken, second: PushToken
) -> None:
    await make_presence(session, task=task, device=device, age=timedelta(seconds=60))
    await make_presence(session, task=task, device=second, age=timedelta(seconds=59))
    assert await presence.sweep_expired(session) == 1
    assert await watching(session) == [second.id]


@pytest.fixture
def principal(owner: User, project: Project) -> Principal:
    reference = ProjectRef(id=project.id, organization_id=project.organization_id, name=project.name)
    return Principal(
        user_id=owner.id,
        is_staff=False,
        key_id=new_id(),
        scopes=frozenset({"*"}),
        scoped_teams=(),
        scoped_organizations=(),
        named_project=reference,
        is_member=True,
    )


async def test_concurrent_beats_and_leaves_never_fail(
    sessions: SessionFactory, session: AsyncSession, principal: Principal, task: Task, device: PushToken
) -> None:
    async def beat() -> None:
        async with unit_of_work(sessions) as beating:
            await presence.beat(beating, principal, task.id, device.id)

    async def leave() -> None:
        async with unit_of_work(sessions) as leaving:
            await presence.leave(leaving, principal, task.id, device.id)

    await asyncio.gather(*(beat() for _ in range(30)), *(leave() for _ in range(10)))
    await beat()

    assert [row[:2] for row in await rows(session)] == [(task.id, device.id)]


async def test_beat_that_races_the_end_of_its_device_is_not_found(
    sessions: SessionFactory, principal: Principal, task: Task, device: PushToken
) -> None:
    async def delete_device(session: AsyncSession) -> None:
        await session.delete(await session.get_one(PushToken, device.id))
        await session.flush()

    async def beat(session: AsyncSession) -> None:
        # It sees the device, and then waits for the row that is being deleted.
        with pytest.raises(NotFound):
            await presence.beat(session, principal, task.id, device.id)

    await race(sessions, delete_device, beat)
