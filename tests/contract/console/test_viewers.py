"""Viewers of a task (contract 17.10)."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Membership, Presence, Project, PushToken, Task, User
from app.services.notifications.presence import PRESENCE_LIFETIME
from tests.support.devices import make_device, make_presence
from tests.support.factories import make_project, make_task, make_user
from tests.support.makers import NewTask


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/projects/{project.id}/viewers/"


@pytest.fixture
async def foreign(session: AsyncSession, colleague: User) -> PushToken:
    """A device of the colleague."""
    return await make_device(session, user=colleague)


async def viewers(client: httpx.AsyncClient, url: str) -> list[tuple[str, int]]:
    response = await client.get(url)
    assert response.status_code == 200
    return [(row["task"], row["user"]["id"]) for row in response.json()["results"]]


async def test_members_who_look_are_shown_once_each_the_latest_first(
    client: httpx.AsyncClient,
    session: AsyncSession,
    url: str,
    new_task: NewTask,
    device: PushToken,
    foreign: PushToken,
    owner: User,
    colleague: User,
) -> None:
    shared = await new_task(created_by=None)
    other = await make_device(session, user=owner)
    await make_presence(session, task=shared, device=device, age=timedelta(seconds=40))
    await make_presence(session, task=shared, device=foreign, age=timedelta(seconds=20))
    assert await viewers(client, url) == [(str(shared.id), colleague.id), (str(shared.id), owner.id)]
    await make_presence(session, task=shared, device=other, age=timedelta(seconds=10))
    assert await viewers(client, url) == [(str(shared.id), owner.id), (str(shared.id), colleague.id)]


async def test_viewer_has_the_shape_of_a_user(
    client: httpx.AsyncClient, session: AsyncSession, url: str, task: Task, device: PushToken, owner: User
) -> None:
    await make_presence(session, task=task, device=device)
    created_by = (await client.get(f"/api/projects/{task.project_id}/tasks/{task.id}/")).json()["created_by"]
    assert (await client.get(url)).json() == {"results": [{"task": str(task.id), "user": created_by}]}
    assert created_by["id"] == owner.id


async def test_viewers_of_tasks_that_the_caller_does_not_see_are_hidden(
    client: httpx.AsyncClient,
    session: AsyncSession,
    url: str,
    new_task: NewTask,
    foreign: PushToken,
    colleague: User,
    owner: User,
) -> None:
    private = await new_task(created_by=colleague)
    elsewhere = await make_project(session)
    for person in (owner, colleague):
        session.add(Membership(user_id=person.id, project_id=elsewhere.id, created_at=utcnow()))
    await session.commit()
    of_another_project = await make_task(session, project=elsewhere, created_by=None)
    deleted = await new_task(created_by=None, deleted=True)
    for hidden in (private, of_another_project, deleted):
        await make_presence(session, task=hidden, device=foreign)
    assert await viewers(client, url) == []


@pytest.mark.parametrize("reason", ["expired", "not focused", "no member"])
async def test_those_who_do_not_look_any_more_are_not_shown(
    client: httpx.AsyncClient,
    session: AsyncSession,
    url: str,
    new_task: NewTask,
    foreign: PushToken,
    reason: str,
) -> None:
    shared = await new_task(created_by=None)
    age = PRESENCE_LIFETIME if reason == "expired" else timedelta(0)
    await make_presence(session, task=shared, device=foreign, age=age)
    if reason == "not focused":
        await session.execute(update(Presence).values(focused=False))
    elif reason == "no member":
        await session.execute(delete(Membership).where(Membership.user_id == foreign.user_id))
    await session.commit()
    assert await viewers(client, url) == []


async def test_there_are_at_most_500(
    client: httpx.AsyncClient, session: AsyncSession, url: str, project: Project, new_task: NewTask
) -> None:
    person = await make_user(session, projects=[project])
    device = await make_device(session, user=person)
    shared = await new_task(created_by=None)
    expires_at = utcnow() + PRESENCE_LIFETIME
    assert shared.project_id == project.id
    values = {"push_token_id": device.id, "project_id": project.id, "user_id": person.id}
    tasks = [await new_task(created_by=None) for _ in range(501)]
    session.add_all(Presence(task_id=each.id, expires_at=expires_at, **values) for each in tasks)
    await session.commit()
    assert len(await viewers(client, url)) == 500
