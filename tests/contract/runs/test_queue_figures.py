"""Queueing as clients see it: the wait of a run for a worker, and the workers that it had."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.enums import RunStatus
from app.models import EventSnapshot, Membership, Project, Run, Task, User
from app.runtime import ProcessContext, open_process
from app.services.retrying.policies import RUN_LEASE
from app.services.runs import run_lifecycle
from app.services.runs.queue.worker_reports import report_worker
from tests.support import runs
from tests.support.assertions import assert_page
from tests.support.clock import MovableClock
from tests.support.factories import added, make_project, make_run, make_task
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.webhooks import make_endpoint

claim = partial(run_lifecycle.claim, events=RecordingEvents())
recover_lapsed = partial(runs.recover_lapsed, events=RecordingEvents())
hand_back = partial(run_lifecycle.hand_back, events=RecordingEvents())

WAITING = [{"queue_position": place, "waits_for": "slot"} for place in (1, 2, 3)]


@pytest.fixture
async def waiting(session: AsyncSession, task: Task, clock: MovableClock) -> list[Run]:
    """Three runs of one task that wait for a worker, the longest waiting first."""
    runs = []
    for _ in range(3):
        clock.advance(seconds=1)
        runs.append(await make_run(session, task=task, created_at=clock.now, dispatch_requested_at=clock.now))
    return runs


@pytest.fixture
async def limited(application: FastAPI, settings: Settings) -> AsyncGenerator[ProcessContext]:
    """The process of an operator who allows one run of each project at a time."""
    of_one = settings.model_copy(update={"project_concurrency": 1})
    async with open_process(of_one, name="test") as process:
        application.state.process = process
        yield process


async def states(client: httpx.AsyncClient, task_url: str) -> list[dict[str, Any]]:
    """Return the states of the task's runs, oldest first, without what they all have."""
    runs = assert_page(await client.get(f"{task_url}/runs"), count=3)
    for run in runs:
        assert (await client.get(f"{task_url}/runs/{run['id']}")).json()["state"] == run["state"]
        assert run["state"].pop("mode") == "background"
    return [run["state"] for run in reversed(runs)]


@pytest.mark.usefixtures("waiting")
async def test_waiting_runs_show_their_place(
    client: httpx.AsyncClient, task_url: str, tasks_url: str
) -> None:
    assert await states(client, task_url) == WAITING
    [listed] = assert_page(await client.get(tasks_url), count=1)
    assert listed["latest_run"]["state"]["queue_position"] == 3
    assert (await client.get(task_url)).json()["latest_run"]["state"]["queue_position"] == 3


async def test_runs_of_other_projects_are_not_counted(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str, owner: User, waiting: list[Run]
) -> None:
    elsewhere = await make_task(session, project=await make_project(session), created_by=owner)
    await make_run(session, task=elsewhere, dispatch_requested_at=waiting[0].created_at)
    assert await states(client, task_url) == WAITING


@pytest.mark.usefixtures("waiting")
async def test_claimed_run_shows_its_attempts_and_others_move_up(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str
) -> None:
    assert await claim(session, owner="job") is not None
    assert await states(client, task_url) == [{"attempts": 1}, *WAITING[:2]]


async def test_run_of_a_lost_worker_shows_what_was_decided(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str, waiting: list[Run], clock: MovableClock
) -> None:
    for number in range(2):
        assert await claim(session, owner=f"job-{number}") is not None
    assert await run_lifecycle.mark_agent_started(session, waiting[1].id, owner="job-1")
    started_at = clock.now.isoformat()
    clock.now += RUN_LEASE
    await recover_lapsed(session)
    lost = {"reason": "worker lost", "at": clock.now.isoformat(), "losses": 1}
    assert await states(client, task_url) == [
        WAITING[0] | {"attempts": 1, "recovery": {"decision": "queued again", **lost}},
        {"attempts": 1, "agent_started_at": started_at, "recovery": {"decision": "failed", **lost}},
        WAITING[1],
    ]


async def test_run_of_a_stopped_worker_says_so(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str, waiting: list[Run], clock: MovableClock
) -> None:
    assert await claim(session, owner="job") is not None
    assert await hand_back(session, waiting[0].id, owner="job")
    stopped = {"decision": "queued again", "reason": "worker stopped", "at": clock.now.isoformat()}
    first, *_ = await states(client, task_url)
    assert first == WAITING[0] | {"attempts": 1, "recovery": stopped | {"losses": 0}}


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.QUEUED])
async def test_run_that_does_not_wait_has_no_place(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, status: RunStatus
) -> None:
    run = await make_run(session, task=task, status=status, dispatch_requested_at=task.created_at)
    assert (await client.get(f"{task_url}/runs/{run.id}")).json()["state"] == {"mode": "background"}


async def test_run_that_its_client_performs_has_no_place(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
) -> None:
    """Contract 13.1."""
    task = await make_task(session, project=project, created_by=owner)
    run = await make_run(session, task=task)
    answer = await client.get(f"{tasks_url}/{task.id}/runs/{run.id}")
    assert answer.json()["state"] == {"mode": "background"}


@pytest.mark.usefixtures("limited")
async def test_waiting_runs_say_what_they_wait_for(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    task: Task,
    tasks_url: str,
    waiting: list[Run],
    clock: MovableClock,
) -> None:
    """Contract 20.1: for the limit of their own project, else for a slot. Other runs wait for neither."""
    elsewhere = await make_project(session)
    await added(session, Membership(project_id=elsewhere.id, user_id=owner.id, created_at=clock.now))
    other = await make_task(session, project=elsewhere, created_by=owner)
    of_client = await make_run(session, task=task)
    later = await make_run(session, task=task, status=RunStatus.NOT_STARTED, scheduled_at=clock.now)
    shown = (*waiting, of_client, later)

    async def reasons() -> list[str | None]:
        listed = (await client.get(f"{tasks_url}/{task.id}/runs")).json()["results"]
        by_id = {run["id"]: run["state"].get("waits_for") for run in listed}
        return [by_id[str(run.id)] for run in shown]

    assert await reasons() == ["slot", "slot", "slot", None, None]
    assert await claim(session, owner="job") is not None
    await make_run(session, task=other, dispatch_requested_at=clock.now)
    assert await reasons() == [None, "limit", "limit", None, None]
    url = tasks_url.replace(f"/{project.id}/", f"/{elsewhere.id}/")
    assert [
        run["state"]["waits_for"] for run in (await client.get(f"{url}/{other.id}/runs")).json()["results"]
    ] == ["slot"]
    end = run_lifecycle.RunEnd(status=RunStatus.COMPLETED)
    assert await run_lifecycle.finish(session, waiting[0].id, end, owner="job", events=RecordingEvents())
    assert await reasons() == [None, "slot", "slot", None, None]


@pytest.mark.usefixtures("limited", "waiting")
async def test_answers_and_full_bodies_of_webhooks_know_the_limit(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
) -> None:
    assert await claim(session, owner="job") is not None
    await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/", payload="full")
    task = (await client.post(tasks_url, json={})).json()
    url = f"{tasks_url}/{task['id']}"
    answers = [
        (await client.post(f"{url}/run")).json(),
        (await client.patch(url, json={"title": "After"})).json(),
        (await client.get(url)).json(),
        (await client.get(tasks_url)).json()["results"][0],
        (await client.get(f"{tasks_url}?search=After")).json()["results"][0],
        *(
            body["task"]
            for body in await session.scalars(select(EventSnapshot.snapshot))
            if body["task"]["latest_run"]
        ),
    ]
    assert [answer["latest_run"]["state"]["waits_for"] for answer in answers] == ["limit"] * 7


async def test_queue_of_a_project_has_its_own_figures_and_the_slots_of_all_workers(
    application: FastAPI,
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    task: Task,
    process: ProcessContext,
    clock: MovableClock,
) -> None:
    """Contract 20.1. The runs of a colleague's own task count too."""
    url = f"/api/projects/{project.id}/queue"
    empty = {
        "queued": 0,
        "oldest_queued_seconds": 0,
        "active": 0,
        "limit": None,
        "waits_for": None,
        "workers": 0,
        "slots": 0,
    }
    assert (await client.get(f"{url}/")).json() == empty

    elsewhere = await make_project(session)
    colleagues = await make_task(session, project=project, created_by=None, internal=True)
    other = await make_task(session, project=elsewhere, created_by=owner)
    clock.advance(seconds=1)
    await make_run(session, task=task, dispatch_requested_at=clock.now)
    clock.advance(seconds=10)
    for each in (colleagues, other, other):
        await make_run(session, task=each, dispatch_requested_at=clock.now)
    # A client performs it, and one is not due.
    await make_run(session, task=task)
    await make_run(session, task=task, status=RunStatus.NOT_STARTED, scheduled_at=clock.now)
    clock.advance(seconds=5)
    figures = empty | {"queued": 2, "oldest_queued_seconds": 15, "waits_for": "worker"}
    assert (await client.get(url)).json() == figures

    assert await claim(session, owner="job") is not None
    for name, slots in (("one", 4), ("two", 6)):
        await report_worker(process.redis, name, {"agents": {}, "slots": slots, "warnings": []})
    figures |= {
        "queued": 1,
        "oldest_queued_seconds": 5,
        "active": 1,
        "workers": 2,
        "slots": 10,
        "waits_for": "turn",
    }
    # Of the other project workers perform none.
    assert (await client.get(url)).json() == figures
    assert await claim(session, owner="other job") is not None
    figures |= {"waits_for": "slot"}
    assert (await client.get(url)).json() == figures
    settings = process.settings.model_copy(update={"project_concurrency": 1})
    application.state.process = replace(process, settings=settings)
    assert (await client.get(url)).json() == figures | {"limit": 1, "waits_for": "limit"}
