"""Presence over HTTP (contract 5.6, 5.7, 7.1)."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import SessionFactory, unit_of_work
from app.errors import NotFound
from app.ids import new_id
from app.models import Presence, Project, PushToken, Task, User
from app.services.access.principal import Principal, ProjectRef
from app.services.notifications import presence
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.clock import MovableClock
from tests.support.devices import make_device, make_presence
from tests.support.factories import make_project, make_task, make_user
from tests.support.queries import recorded

NOT_THE_CALLERS = "device_id does not match a push token registered by the caller"


@pytest.fixture
async def task(sessions: SessionFactory, project: Project, owner: User) -> Task:
    async with unit_of_work(sessions) as session:
        return await make_task(session, project=project, created_by=owner)


@pytest.fixture
async def device(sessions: SessionFactory, owner: User) -> PushToken:
    async with unit_of_work(sessions) as session:
        return await make_device(session, user=owner)


@pytest.fixture
def url(tasks_url: str, task: Task) -> str:
    return f"{tasks_url}/{task.id}/presence/"


async def rows(sessions: SessionFactory) -> list[tuple[UUID, UUID, datetime]]:
    async with sessions() as session:
        found = await session.execute(
            select(Presence.task_id, Presence.push_token_id, Presence.expires_at).order_by(
                Presence.expires_at
            )
        )
        return [(row.task_id, row.push_token_id, row.expires_at) for row in found]


async def test_beat_lets_the_device_watch_for_exactly_a_minute(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    clock: MovableClock,
    url: str,
    task: Task,
    device: PushToken,
) -> None:
    response = await client.post(url, json={"device_id": str(device.id)})

    assert (response.status_code, response.content) == (204, b"")
    assert await rows(sessions) == [(task.id, device.id, clock.now + timedelta(seconds=60))]


async def test_second_beat_moves_the_expiry_of_the_one_row(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    clock: MovableClock,
    url: str,
    task: Task,
    device: PushToken,
) -> None:
    for _ in range(2):
        clock.advance(seconds=30)
        await client.post(url, json={"device_id": str(device.id)})

    assert await rows(sessions) == [(task.id, device.id, clock.now + timedelta(seconds=60))]


async def test_beat_is_one_statement_after_authentication(
    client: httpx.AsyncClient, engine: AsyncEngine, url: str, device: PushToken
) -> None:
    # The first request notes the use of the key.
    await client.post(url, json={"device_id": str(device.id)})

    async with recorded(engine) as statements:
        await client.post(url, json={"device_id": str(device.id)})

    assert len(statements) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "required"), ({"device_id": None}, "null"), ({"device_id": "my phone"}, "invalid_input")],
)
async def test_beat_refuses_bad_devices_before_it_looks_for_the_task(
    client: httpx.AsyncClient, tasks_url: str, body: dict[str, object], code: str
) -> None:
    assert_invalid(await client.post(f"{tasks_url}/{new_id()}/presence", json=body), "device_id", code)


async def test_beat_for_a_task_that_is_not_visible_is_not_found(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, tasks_url: str, device: PushToken
) -> None:
    async with unit_of_work(sessions) as session:
        other = await make_user(session, projects=[project])
        private = await make_task(session, project=project, created_by=other)
        deleted = await make_task(session, project=project, created_by=other, deleted=True)

    for task_id in (private.id, deleted.id, new_id()):
        response = await client.post(f"{tasks_url}/{task_id}/presence", json={"device_id": str(device.id)})
        assert_not_found(response)
    assert await rows(sessions) == []


async def test_beat_of_a_device_that_is_not_the_callers_is_not_found(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, url: str
) -> None:
    async with unit_of_work(sessions) as session:
        other = await make_user(session, projects=[project])
        foreign = await make_device(session, user=other)

    for device_id in (foreign.id, new_id()):
        response = await client.post(url, json={"device_id": str(device_id)})
        assert_not_found(response, NOT_THE_CALLERS)
    assert await rows(sessions) == []


@pytest.mark.parametrize("place", ["body", "query"])
async def test_leaving_ends_the_presence_of_that_device_only(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    owner: User,
    url: str,
    task: Task,
    device: PushToken,
    place: str,
) -> None:
    async with unit_of_work(sessions) as session:
        second = await make_device(session, user=owner)
        await make_presence(session, task=task, device=device)
        await make_presence(session, task=task, device=second)
    given = {"device_id": str(device.id)}

    for _ in range(2):
        response = await client.request(
            "DELETE", url, json=given if place == "body" else None, params=given if place == "query" else None
        )
        assert (response.status_code, response.content) == (204, b"")

    assert [row[1] for row in await rows(sessions)] == [second.id]


async def test_leaving_with_a_foreign_or_unknown_device_is_204_and_changes_nothing(
    client: httpx.AsyncClient, sessions: SessionFactory, project: Project, url: str, task: Task
) -> None:
    async with unit_of_work(sessions) as session:
        other = await make_user(session, projects=[project])
        foreign = await make_device(session, user=other)
        await make_presence(session, task=task, device=foreign)

    for device_id in (foreign.id, new_id()):
        response = await client.request("DELETE", url, json={"device_id": str(device_id)})
        assert response.status_code == 204

    assert [row[1] for row in await rows(sessions)] == [foreign.id]


@pytest.mark.parametrize("query", ["", "?device_id="])
async def test_leaving_without_a_device_is_refused(client: httpx.AsyncClient, url: str, query: str) -> None:
    assert_invalid(await client.delete(url.rstrip("/") + query), "device_id", "required")


@pytest.mark.parametrize("place", ["json", "params"])
async def test_leaving_with_a_malformed_device_is_refused(
    client: httpx.AsyncClient, url: str, place: str
) -> None:
    response = await client.request("DELETE", url, **{place: {"device_id": "my phone"}})  # type: ignore[arg-type] # either
    assert_invalid(response, "device_id", "invalid_input")


async def test_leaving_a_task_that_is_not_visible_is_not_found(
    client: httpx.AsyncClient, tasks_url: str, device: PushToken
) -> None:
    response = await client.request(
        "DELETE", f"{tasks_url}/{new_id()}/presence", json={"device_id": str(device.id)}
    )
    assert_not_found(response)


@pytest.mark.usefixtures("clock")
async def test_sweeper_removes_what_expired_and_nothing_else(
    sessions: SessionFactory, owner: User, task: Task, device: PushToken
) -> None:
    async with unit_of_work(sessions) as session:
        second = await make_device(session, user=owner)
        await make_presence(session, task=task, device=device, age=timedelta(seconds=60))
        await make_presence(session, task=task, device=second, age=timedelta(seconds=59))

    async with unit_of_work(sessions) as session:
        assert await presence.sweep_expired(session) == 1

    assert [row[1] for row in await rows(sessions)] == [second.id]


def _principal(user: User, project: Project) -> Principal:
    reference = ProjectRef(id=project.id, organization_id=project.organization_id, name=project.name)
    return Principal(
        user_id=user.id,
        is_staff=False,
        key_id=new_id(),
        scopes=frozenset({"*"}),
        scoped_teams=(),
        scoped_organizations=(),
        named_project=reference,
        is_member=True,
    )


async def test_concurrent_beats_and_leaves_never_fail(sessions: SessionFactory) -> None:
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        user = await make_user(session, projects=[project])
        task = await make_task(session, project=project, created_by=user)
        device = await make_device(session, user=user)
    caller = _principal(user, project)

    async def beat() -> None:
        async with unit_of_work(sessions) as session:
            await presence.beat(session, caller, task.id, device.id)

    async def leave() -> None:
        async with unit_of_work(sessions) as session:
            await presence.leave(session, caller, task.id, device.id)

    await asyncio.gather(*(beat() for _ in range(30)), *(leave() for _ in range(10)))
    await beat()

    assert [row[:2] for row in await rows(sessions)] == [(task.id, device.id)]


async def test_beat_that_races_the_end_of_its_device_is_not_found(sessions: SessionFactory) -> None:
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        user = await make_user(session, projects=[project])
        task = await make_task(session, project=project, created_by=user)
        device = await make_device(session, user=user)
    caller = _principal(user, project)
    deleted = asyncio.Event()

    async def beat() -> None:
        async with unit_of_work(sessions) as session:
            await deleted.wait()
            await presence.beat(session, caller, task.id, device.id)

    async with sessions() as session:
        await session.delete(await session.get_one(PushToken, device.id))
        await session.flush()
        beating = asyncio.create_task(beat())
        deleted.set()
        # The beat sees the device, and then waits for the row that is being deleted.
        await asyncio.wait({beating}, timeout=0.3)
        assert not beating.done()
        await session.commit()
    with pytest.raises(NotFound):
        await beating
