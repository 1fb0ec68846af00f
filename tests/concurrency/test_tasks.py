"""Requests about tasks that arrive at the same time (contract 5.4, 5.5, 10.1)."""

import asyncio

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, Run, Task, User
from tests.support.assertions import assert_page
from tests.support.callers import bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_key, make_task, make_user
from tests.support.questions import make_question
from tests.support.stand_ins.fakes import RecordingQueue


async def test_fifty_parallel_creates_get_fifty_consecutive_numbers(
    client: httpx.AsyncClient, tasks_url: str
) -> None:
    responses = await asyncio.gather(
        *(client.post(tasks_url, json={"title": f"task {number}"}) for number in range(50))
    )
    assert [response.status_code for response in responses] == [201] * 50
    assert sorted(response.json()["task_number"] for response in responses) == list(range(50))


async def test_parallel_creates_of_several_callers_share_the_numbers(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
) -> None:
    users = [await make_user(session, projects=[project]) for _ in range(4)]
    keys = [await make_key(session, user=user) for user in users]
    responses = await asyncio.gather(
        *(client.post(tasks_url, json={}, headers=bearer(key)) for key in keys for _ in range(5))
    )
    assert sorted(response.json()["task_number"] for response in responses) == list(range(20))


async def test_refused_creates_leave_no_gap_between_parallel_ones(
    client: httpx.AsyncClient, tasks_url: str
) -> None:
    bodies = [{"github_integration": 999_999} if number % 3 == 0 else {} for number in range(30)]
    responses = await asyncio.gather(*(client.post(tasks_url, json=body) for body in bodies))
    numbers = [response.json()["task_number"] for response in responses if response.status_code == 201]
    assert sorted(numbers) == list(range(20))


async def test_parallel_updates_of_different_fields_all_last(
    client: httpx.AsyncClient, task_url: str
) -> None:
    changes: dict[str, object] = {
        "title": "new title",
        "description": "new description",
        "repository": "org/repo",
        "json_schema": {"type": "object"},
        "internal": True,
        "archived": True,
        "ci_prompt": "new prompt",
    }
    responses = await asyncio.gather(
        *(client.patch(task_url, json={field: value}) for field, value in changes.items())
    )
    assert {response.status_code for response in responses} == {200}
    shown = (await client.get(task_url)).json()
    assert {field: shown[field] for field in changes} == changes


async def test_first_stamp_of_parallel_archivings_stays(client: httpx.AsyncClient, task_url: str) -> None:
    responses = await asyncio.gather(*(client.patch(task_url, json={"archived": True}) for _ in range(8)))
    stamps = {response.json()["archived_at"] for response in responses}
    assert len(stamps) == 1


async def test_one_of_parallel_deletes_finds_the_task(client: httpx.AsyncClient, task_url: str) -> None:
    responses = await asyncio.gather(*(client.delete(task_url) for _ in range(6)))
    assert sorted(response.status_code for response in responses) == [204, *[404] * 5]


@pytest.mark.parametrize(("action", "rest"), [("archive", "unchanged"), ("delete", "not_found")])
async def test_parallel_batches_change_each_task_once(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    tasks_url: str,
    action: str,
    rest: str,
) -> None:
    """Contract 6.11: in any order and with open questions, none is refused because two wait for each other."""
    tasks = [await make_task(session, project=project, created_by=owner) for _ in range(40)]
    for task in tasks[::4]:
        await make_question(session, task=task)
    ids = [str(task.id) for task in tasks]
    orders = [ids, ids[::-1], ids[20:] + ids[:20], ids[::2] + ids[1::2]]
    responses = await asyncio.gather(
        *(client.post(f"{tasks_url}/bulk", json={"action": action, "ids": order}) for order in orders)
    )
    assert {response.status_code for response in responses} == {200}
    by_task: dict[str, list[str]] = {task_id: [] for task_id in ids}
    for response in responses:
        for row in response.json()["results"]:
            by_task[row["id"]].append(row["result"])
    assert {tuple(sorted(results)) for results in by_task.values()} == {("changed", *[rest] * 3)}


async def test_batch_of_five_hundred_is_done_in_seconds(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
) -> None:
    """Contract 6.11, with other batches over the same tasks at once: ten seconds for all of them."""
    tasks = [await make_task(session, project=project, created_by=owner) for _ in range(500)]
    ids = [str(task.id) for task in tasks]
    async with asyncio.timeout(10):
        responses = await asyncio.gather(
            *(
                client.post(f"{tasks_url}/bulk", json={"action": action, "ids": order})
                for action, order in (("archive", ids), ("unarchive", ids[::-1]), ("delete", ids))
            )
        )
    assert {response.status_code for response in responses} == {200}
    assert {row["result"] for row in responses[2].json()["results"]} == {"changed"}


async def test_update_never_brings_a_deleted_task_back(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str
) -> None:
    responses = await asyncio.gather(
        client.delete(task_url), *(client.patch(task_url, json={"title": "late"}) for _ in range(5))
    )
    assert responses[0].status_code == 204
    assert {response.status_code for response in responses[1:]} <= {200, 404}
    assert (await client.get(task_url)).status_code == 404
    assert await session.scalar(select(Task.deleted).where(Task.id == task.id)) is True


async def test_latest_of_parallel_runs_is_the_greatest(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, queue: RecordingQueue
) -> None:
    """Contract 9.4, and each run is asked for once."""
    responses = await asyncio.gather(*(client.post(f"{task_url}/run", json={}) for _ in range(10)))
    assert {response.status_code for response in responses} == {200}
    rows = assert_page(await client.get(f"{task_url}/runs"), count=10)
    newest = select(Run.id).where(Run.task_id == task.id).order_by(Run.created_at.desc(), Run.id.desc())
    expected = await session.scalar(newest.limit(1))
    latest = await session.scalar(select(Task.latest_run_id).where(Task.id == task.id))
    assert latest == expected
    assert sorted(job.arguments["run_id"] for job in queue.jobs) == sorted(row["id"] for row in rows)


@pytest.mark.parametrize("back", [0, 20])
async def test_next_run_is_the_latest_also_by_a_clock_that_stands_or_went_back(
    client: httpx.AsyncClient, task_url: str, clock: MovableClock, back: int
) -> None:
    """Contract 9.4: else the answer would show the run before."""
    answered = []
    for _ in range(3):
        task = (await client.post(f"{task_url}/run", json={})).json()
        answered.append(task["latest_run"]["id"])
        clock.advance(seconds=-back)
    assert len(set(answered)) == 3
    rows = assert_page(await client.get(f"{task_url}/runs"), count=3)
    assert [row["id"] for row in rows] == answered[::-1]


async def test_parallel_first_uses_of_a_key_all_pass(
    client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
) -> None:
    key = await make_key(session, user=owner)
    responses = await asyncio.gather(*(client.get(tasks_url, headers=bearer(key)) for _ in range(10)))
    assert {response.status_code for response in responses} == {200}


async def test_task_numbers_are_unique_in_the_database(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
) -> None:
    """The constraint holds what the counter promises."""
    await asyncio.gather(*(client.post(tasks_url, json={}) for _ in range(5)))
    counts = select(func.count(), func.count(Task.task_number.distinct()))
    assert (await session.execute(counts.where(Task.project_id == project.id))).one() == (5, 5)
