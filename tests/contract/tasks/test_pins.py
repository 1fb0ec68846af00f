"""Pins: each user's own, the newest first (contract 6.9)."""

import httpx
from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.models import Event, Membership, Task, TaskPin, User
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.callers import bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_copies, make_key, make_project, make_task
from tests.support.makers import NewTask


async def pin(client: httpx.AsyncClient, tasks_url: str, task: Task, *, pinned: object = True) -> None:
    response = await client.post(f"{tasks_url}/{task.id}/pin/", json={"pinned": pinned})
    assert (response.status_code, response.json()) == (200, {"task_id": str(task.id), "pinned": bool(pinned)})


async def pinned(client: httpx.AsyncClient, tasks_url: str) -> list[str]:
    response = await client.get(f"{tasks_url}/pinned/")
    assert list(response.json()) == ["task_ids"]
    ids: list[str] = response.json()["task_ids"]
    return ids


async def test_newest_pin_comes_first_and_a_repeated_one_keeps_its_place(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    """The clock stands still here."""
    first, second, third = [await new_task() for _ in range(3)]
    assert await pinned(client, tasks_url) == []
    for task in (second, third, first, second):
        await pin(client, tasks_url, task)
    assert await pinned(client, tasks_url) == [str(task.id) for task in (first, third, second)]
    await pin(client, tasks_url, second, pinned=0)
    await pin(client, tasks_url, second, pinned=False)
    assert await pinned(client, tasks_url) == [str(task.id) for task in (first, third)]
    await pin(client, tasks_url, second, pinned="yes")
    assert await pinned(client, tasks_url) == [str(task.id) for task in (second, first, third)]


async def test_pins_are_of_tasks_of_the_project_that_the_caller_sees_now(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, owner: User, tasks_url: str
) -> None:
    """Archived and internal ones stay, deleted ones go."""
    archived, internal, deleted = await new_task(), await new_task(internal=True), await new_task()
    other = await make_project(session)
    session.add(Membership(user_id=owner.id, project_id=other.id, created_at=utcnow()))
    elsewhere = await make_task(session, project=other, created_by=owner)
    for task in (archived, internal, deleted):
        await pin(client, tasks_url, task)
    others_url = f"/api/projects/{other.id}/tasks"
    await pin(client, others_url, elsewhere)
    assert await pinned(client, others_url) == [str(elsewhere.id)]
    await client.patch(f"{tasks_url}/{archived.id}", json={"archived": True})
    await client.delete(f"{tasks_url}/{deleted.id}")
    assert await pinned(client, tasks_url) == [str(task.id) for task in (internal, archived)]


async def test_pin_is_the_users_own_and_changes_nothing_about_the_task(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    colleague: User,
    tasks_url: str,
    clock: MovableClock,
) -> None:
    shared = await new_task(origin_product="hogdesk")
    before = (await client.get(f"{tasks_url}/{shared.id}")).json()
    clock.advance(hours=1)
    await pin(client, tasks_url, shared)
    assert (await client.get(f"{tasks_url}/{shared.id}")).json() == before
    assert await session.scalar(select(func.count()).select_from(Event)) == 0
    client.headers.update(bearer(await make_key(session, user=colleague)))
    assert await pinned(client, tasks_url) == []


async def test_refusals(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    owner: User,
    colleague: User,
    tasks_url: str,
) -> None:
    """The body comes before the task (contract 2.3)."""
    elsewhere = await make_task(session, project=await make_project(session), created_by=owner)
    for task in (await new_task(colleague), await new_task(deleted=True), elsewhere):
        url = f"{tasks_url}/{task.id}/pin"
        for value in (True, False):
            assert_not_found(await client.post(url, json={"pinned": value}))
        assert_invalid(await client.post(url, json={}), "pinned", "required")
        assert_invalid(await client.post(url, json={"pinned": None}), "pinned", "null")
        assert_invalid(await client.post(url, json={"pinned": "maybe"}), "pinned", "invalid_input")
    assert_not_found(await client.post(f"{tasks_url}/nonsense/pin", json={"pinned": True}))


async def test_pins_of_a_project_have_a_limit(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, owner: User, tasks_url: str
) -> None:
    """A pin of a deleted task, which cannot be removed, does not count."""
    await make_copies(session, task, 500)
    copies = select(literal(owner.id), Task.id).where(Task.id != task.id)
    await session.execute(insert(TaskPin).from_select(["user_id", "task_id"], copies))
    first, second, *_ = await pinned(client, tasks_url)

    refused = await client.post(f"{tasks_url}/{task.id}/pin", json={"pinned": True})

    assert (refused.status_code, refused.json()["code"]) == (400, "max_length")
    assert (await client.post(f"{tasks_url}/{first}/pin", json={"pinned": True})).status_code == 200
    assert len(await pinned(client, tasks_url)) == 500
    assert (await client.delete(f"{tasks_url}/{second}")).status_code == 204
    await pin(client, tasks_url, task)
