"""Batches: archive, unarchive and delete many tasks in one request (contract 6.11)."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import QuestionStatus
from app.models import Event, EventSnapshot, Project, Question, Run, Task, User
from tests.support.assertions import assert_error, assert_invalid, assert_not_found
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import make_project, make_run, make_task
from tests.support.makers import NewTask
from tests.support.questions import make_question
from tests.support.webhooks import make_endpoint

JSON = dict[str, Any]
UNKNOWN = UUID("11111111-1111-4111-8111-111111111111")


async def change(
    client: httpx.AsyncClient, tasks_url: str, action: str, ids: list[Any], **headers: str
) -> list[JSON]:
    body = {"action": action, "ids": [str(id_) for id_ in ids]}
    response = await client.post(f"{tasks_url}/bulk/", json=body, headers=headers)
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["results"]
    rows: list[JSON] = response.json()["results"]
    assert {tuple(row) for row in rows} == {("id", "result")}
    return rows


def results(rows: list[JSON]) -> list[str]:
    return [row["result"] for row in rows]


async def events(session: AsyncSession) -> list[tuple[str, UUID | None, JSON]]:
    rows = await session.execute(select(Event.type, Event.task_id, Event.data))
    return sorted((type_, task_id, data) for type_, task_id, data in rows)


async def test_archiving_is_that_of_each_task(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    tasks_url: str,
    clock: MovableClock,
) -> None:
    """What was so already is left as it is, also its times."""
    first, second = await new_task(), await new_task()
    await client.patch(f"{tasks_url}/{second.id}", json={"archived": True})
    untouched = (await client.get(f"{tasks_url}/{second.id}")).json()
    clock.advance(hours=1)
    rows = await change(client, tasks_url, "archive", [first.id, second.id])
    assert rows == [
        {"id": str(first.id), "result": "changed"},
        {"id": str(second.id), "result": "unchanged"},
    ]
    shown = (await client.get(f"{tasks_url}/{first.id}")).json()
    assert (shown["archived"], shown["archived_at"], shown["updated_at"]) == (True, *[wire_time(clock)] * 2)
    assert (await client.get(f"{tasks_url}/{second.id}")).json() == untouched

    clock.advance(hours=1)
    assert results(await change(client, tasks_url, "unarchive", [first.id])) == ["changed"]
    assert results(await change(client, tasks_url, "unarchive", [first.id])) == ["unchanged"]
    shown = (await client.get(f"{tasks_url}/{first.id}")).json()
    assert (shown["archived"], shown["archived_at"], shown["updated_at"]) == (False, None, wire_time(clock))
    changed = {"changed": ["archived"]}
    expected = [("task.updated", task.id, changed) for task in (second, first, first)]
    assert await events(session) == sorted(expected)


async def test_deleting_is_that_of_each_task(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    tasks_url: str,
    clock: MovableClock,
) -> None:
    """Open questions are withdrawn, and runs are kept; a task that is deleted is not found."""
    tasks = [await new_task() for _ in range(3)]
    questions = [await make_question(session, task=task) for task in tasks[:2]]
    rows = await change(client, tasks_url, "delete", [task.id for task in tasks])
    assert rows == [{"id": str(task.id), "result": "changed"} for task in tasks]
    for task in tasks:
        assert_not_found(await client.get(f"{tasks_url}/{task.id}"))
    stored = await session.execute(select(Task.deleted, Task.deleted_at).distinct())
    assert stored.all() == [(True, clock.now)]
    assert await session.scalar(select(func.count()).select_from(Run)) == 2
    closed = await session.execute(select(Question.status, Question.task_creator_id).distinct())
    assert closed.all() == [(QuestionStatus.WITHDRAWN, None)]
    recorded = [(type_, task_id) for type_, task_id, _ in await events(session)]
    assert recorded == sorted(
        [("task.deleted", task.id) for task in tasks]
        + [("question.withdrawn", question.task_id) for question in questions]
    )
    assert (
        results(await change(client, tasks_url, "delete", [task.id for task in tasks])) == ["not_found"] * 3
    )


async def test_tasks_that_are_not_seen_are_not_found_and_hold_up_no_other(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    owner: User,
    colleague: User,
    tasks_url: str,
) -> None:
    """Results are in the order of the first places of ids, each once, whatever its form."""
    elsewhere = await make_task(session, project=await make_project(session), created_by=owner)
    hidden = [await new_task(colleague), await new_task(deleted=True), elsewhere]
    seen = [await new_task(internal=True), await new_task(colleague, origin_product="hogdesk")]
    for task in hidden:
        await make_run(session, task=task)
    strangers = [UNKNOWN, *(task.id for task in hidden)]
    ids = [strangers[0], seen[1].id, *strangers[1:], str(seen[1].id).upper(), seen[0].id, strangers[0].hex]
    for action in ("archive", "delete"):
        rows = await change(client, tasks_url, action, ids)
        assert rows == [
            {"id": str(strangers[0]), "result": "not_found"},
            {"id": str(seen[1].id), "result": "changed"},
            *({"id": str(id_), "result": "not_found"} for id_ in strangers[1:]),
            {"id": str(seen[0].id), "result": "changed"},
        ]
    touched = select(Task.id).where(Task.archived)
    assert {*(await session.scalars(touched))} == {task.id for task in seen}
    for action in ("archive", "unarchive", "delete"):
        rows = await change(client, tasks_url, action, [UUID(int=number) for number in range(500)])
        assert results(rows) == ["not_found"] * 500


async def test_repeated_request_is_answered_alike(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, tasks_url: str
) -> None:
    key = {"Idempotency-Key": "shelf"}
    first = await change(client, tasks_url, "delete", [task.id], **key)
    assert results(first) == ["changed"]
    assert await change(client, tasks_url, "delete", [task.id], **key) == first
    body = {"action": "archive", "ids": [str(task.id)]}
    response = await client.post(f"{tasks_url}/bulk", json=body, headers=key)
    assert_error(response, 409, type="invalid_request", code="idempotency_conflict", detail=None)
    assert await session.scalar(select(func.count()).select_from(Event)) == 1


async def test_bad_batches_do_nothing(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, tasks_url: str
) -> None:
    good = str(task.id)
    for body, attr, code in (
        ({}, "action", "required"),
        ({"action": "explode"}, "action", "invalid_choice"),
        ({"action": "Delete", "ids": []}, "action", "invalid_choice"),
        ({"action": "delete"}, "ids", "required"),
        ({"action": "delete", "ids": None}, "ids", "null"),
        ({"action": "delete", "ids": good}, "ids", "not_a_list"),
        ({"action": "delete", "ids": {good: True}}, "ids", "not_a_list"),
        ({"action": "delete", "ids": []}, "ids", "empty"),
        ({"action": "delete", "ids": ["nonsense"] * 501}, "ids", "max_length"),
        ({"action": "delete", "ids": [good, "nonsense", 7]}, "ids__1", "invalid_input"),
        ({"action": "delete", "ids": [good] * 499 + [None]}, "ids__499", "null"),
    ):
        assert_invalid(await client.post(f"{tasks_url}/bulk", json=body), attr, code)
    assert (await client.get(f"{tasks_url}/{good}")).status_code == 200
    assert await session.scalar(select(func.count()).select_from(Event)) == 0


async def test_full_bodies_of_webhooks_show_each_task_as_it_was_then(
    client: httpx.AsyncClient,
    session: AsyncSession,
    new_task: NewTask,
    project: Project,
    owner: User,
    tasks_url: str,
) -> None:
    await make_endpoint(
        session, project=project, created_by=owner, url="https://example.com/", payload="full"
    )
    ids = [(await new_task()).id for _ in range(25)]
    assert results(await change(client, tasks_url, "archive", ids)) == ["changed"] * 25
    kept = (await session.scalars(select(EventSnapshot.snapshot))).all()
    assert sorted(snapshot["task"]["id"] for snapshot in kept) == sorted(map(str, ids))
    assert {snapshot["task"]["archived"] for snapshot in kept} == {True}
