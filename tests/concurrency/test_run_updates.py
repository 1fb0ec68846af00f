"""Concurrent PATCHes of one run: every merge lasts, whoever commits first (contract 6.4)."""

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from app.api_limits import RUN_STATE_BYTES
from app.db import SessionFactory, unit_of_work
from app.models import Project, User
from tests.support.callers import bearer
from tests.support.factories import make_key, make_run, make_task
from tests.support.fakes import RecordingQueue


@pytest.fixture
async def writer(
    application: FastAPI, sessions: SessionFactory, owner: User
) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with unit_of_work(sessions) as session:
        key = await make_key(session, user=owner)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers=bearer(key)
    ) as client:
        yield client


@pytest.fixture
async def run_url(sessions: SessionFactory, project: Project, owner: User, tasks_url: str) -> str:
    async with unit_of_work(sessions) as session:
        task = await make_task(session, project=project, created_by=owner)
        run = await make_run(session, task=task, state={f"old{n}": n for n in range(10)})
    return f"{tasks_url}/{task.id}/runs/{run.id}"


async def test_no_concurrent_merge_is_lost(writer: httpx.AsyncClient, run_url: str) -> None:
    await asyncio.gather(
        *(
            writer.patch(
                run_url,
                json={"state": {f"new{n}": n}, "output": {f"out{n}": n}, "state_remove_keys": [f"old{n}"]},
            )
            for n in range(10)
        )
    )
    run = (await writer.get(run_url)).json()
    assert run["state"] == {f"new{n}": n for n in range(10)}
    assert run["output"] == {f"out{n}": n for n in range(10)}


async def test_one_terminal_status_wins_and_the_others_are_told_which(
    writer: httpx.AsyncClient, run_url: str
) -> None:
    wanted = ["completed", "failed", "cancelled"]
    answers = await asyncio.gather(*(writer.patch(run_url, json={"status": status}) for status in wanted))

    run = (await writer.get(run_url)).json()
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    refusals = [answer.json() for answer in answers if answer.status_code == 400]
    assert refusals == [{"error": f"Run is already {run['status']}"}] * 2


async def test_concurrent_starts_ask_for_one_worker(
    writer: httpx.AsyncClient, run_url: str, queue: RecordingQueue
) -> None:
    answers = await asyncio.gather(*(writer.post(f"{run_url}/start") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(queue.jobs) == 1


async def test_concurrent_merges_together_stay_within_the_limit(
    writer: httpx.AsyncClient, run_url: str
) -> None:
    """Finding 10: each alone fits; whoever comes last finds no room."""
    part = "x" * (RUN_STATE_BYTES // 4)
    answers = await asyncio.gather(
        *(writer.patch(run_url, json={"state": {f"new{n}": part}}) for n in range(6))
    )
    run = (await writer.get(run_url)).json()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 400, 400, 400]
    assert len([name for name in run["state"] if name.startswith("new")]) == 3
