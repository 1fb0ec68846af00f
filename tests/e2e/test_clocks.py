"""Machines with clocks 90 seconds apart: processes compare the time of the database (ADR 45)."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Run
from app.runtime import open_process
from app.services.runs.lost_runs import recover_runs
from tests.support.callers import bearer
from tests.support.deployment.processes import address_of, service_process, wait_until_ready
from tests.support.deployment.shifted_clock import taskbeacon_ahead
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client

APART = 90
# What a machine under load may add to any instant.
TOLERANCE = timedelta(seconds=40)


@asynccontextmanager
async def api_behind(settings: Settings, *, log: Path, key: str) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Yield a client of an API on a machine with a clock that is behind."""
    program = taskbeacon_ahead(-APART)
    with service_process("serve --port 0", settings=settings, log=log, program=program) as process:
        base_url = await address_of(process)
        async with socket_client(base_url=base_url, headers=bearer(key)) as client:
            await wait_until_ready(client, process)
            yield client


@pytest.mark.usefixtures("no_shared_worker")
async def test_runs_keep_their_order_and_their_worker_whatever_the_machines_clocks_show(
    settings: Settings, sessions: SessionFactory, client: httpx.AsyncClient, key: str, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    steps = f"```sh\nwhile [ ! -e {go_on} ]; do sleep 0.05; done\n```\n```say\ndone\n```"

    async def read(run_id: str) -> Run:
        async with unit_of_work(sessions) as session:
            return await session.get_one(Run, run_id)

    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(api_behind(settings, log=tmp_path / "api.log", key=key))
        created = await client.post("/", json={"title": "T", "description": steps})
        assert created.status_code == 201, created.text
        task = created.json()
        task_url = f"/api/projects/@current/tasks/{task['id']}"
        first = await ask_for_run(client, f"/{task['id']}")
        second = await ask_for_run(behind, task_url)
        assert first["id"] != second["id"], "the earlier run was answered"
        listed = (await behind.get(f"{task_url}/runs/")).json()["results"]
        assert [run["id"] for run in listed] == [second["id"], first["id"]]
        for run in listed:
            assert abs(datetime.now(UTC) - datetime.fromisoformat(run["created_at"])) < TOLERANCE

        # It looks for jobs that are due by its own clock, and holds its runs by the database's.
        stack.enter_context(
            service_process(
                "worker",
                settings=settings,
                log=tmp_path / "worker.log",
                program=taskbeacon_ahead(-APART),
                TASKBEACON_HOME=str(tmp_path / "home"),
                TASKBEACON_AGENT_SANDBOX="none",
            )
        )

        async def both_are_held() -> bool:
            runs = [await read(run["id"]) for run in listed]
            return all("agent_started_at" in run.facts for run in runs)

        await eventually(both_are_held)
        lease = (await read(first["id"])).lease_expires_at
        assert lease is not None
        assert abs(datetime.now(UTC) + timedelta(seconds=60) - lease) < TOLERANCE
        await sweep(settings)
        go_on.touch()

        async def both_are_over() -> bool:
            runs = [await read(run["id"]) for run in listed]
            return all(run.completed_at is not None for run in runs)

        await eventually(both_are_over, within_seconds=150)
    for run in listed:
        ended = await read(run["id"])
        assert (ended.status, ended.attempts, ended.error_message) == (RunStatus.COMPLETED, 1, None)


async def ask_for_run(api: httpx.AsyncClient, task_url: str) -> dict[str, Any]:
    answer = await api.post(f"{task_url}/run/")
    assert answer.status_code == 200, answer.text
    run: dict[str, Any] = answer.json()["latest_run"]
    return run


async def sweep(settings: Settings) -> None:
    """Sweep as a worker does on a machine that has the right time."""
    async with open_process(settings, name="test") as process:
        await recover_runs(process)
