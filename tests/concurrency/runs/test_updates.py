"""Concurrent PATCHes of one run: every merge lasts, in any order of commits (contract 6.4)."""

import asyncio

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import RUN_STATE_BYTES
from app.models import Task
from tests.support.factories import make_run
from tests.support.stand_ins.fakes import RecordingQueue


@pytest.fixture
async def run_url(session: AsyncSession, task: Task, task_url: str) -> str:
    run = await make_run(session, task=task, state={f"old{n}": n for n in range(10)})
    return f"{task_url}/runs/{run.id}"


async def test_no_concurrent_merge_is_lost(client: httpx.AsyncClient, run_url: str) -> None:
    await asyncio.gather(
        *(
            client.patch(
                run_url,
                json={"state": {f"new{n}": n}, "output": {f"out{n}": n}, "state_remove_keys": [f"old{n}"]},
            )
            for n in range(10)
        )
    )
    run = (await client.get(run_url)).json()
    assert run["state"] == {f"new{n}": n for n in range(10)}
    assert run["output"] == {f"out{n}": n for n in range(10)}


async def test_one_terminal_status_wins_and_the_refusals_name_it(
    client: httpx.AsyncClient, run_url: str
) -> None:
    wanted = ["completed", "failed", "cancelled"]
    answers = await asyncio.gather(*(client.patch(run_url, json={"status": status}) for status in wanted))

    run = (await client.get(run_url)).json()
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    refusals = [answer.json() for answer in answers if answer.status_code == 400]
    assert refusals == [{"error": f"Run is already {run['status']}"}] * 2


async def test_concurrent_starts_ask_for_one_worker(
    client: httpx.AsyncClient, run_url: str, queue: RecordingQueue
) -> None:
    answers = await asyncio.gather(*(client.post(f"{run_url}/start") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(queue.jobs) == 1


@pytest.mark.walls
async def test_concurrent_merges_together_stay_within_the_limit(
    client: httpx.AsyncClient, run_url: str
) -> None:
    """Memory of lists: each update alone fits; the last to arrive finds no room."""
    part = "x" * (RUN_STATE_BYTES // 4)
    answers = await asyncio.gather(
        *(client.patch(run_url, json={"state": {f"new{n}": part}}) for n in range(6))
    )
    run = (await client.get(run_url)).json()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 400, 400, 400]
    assert len([name for name in run["state"] if name.startswith("new")]) == 3
