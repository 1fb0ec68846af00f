"""A poll that is answered 304 never hides a change, whoever writes at the same moment (contract 2.9)."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import utcnow
from app.db import SessionFactory, create_session_factory, unit_of_work
from app.enums import RunStatus
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from app.services.views.queue_position import PROJECT_LIMIT
from tests.support.factories import make_run, make_task
from tests.support.web.polls import Poller

WRITERS = 4
WRITES_EACH = 8


@pytest.fixture
async def runs(sessions: SessionFactory, project: Project, owner: User) -> list[Run]:
    """A run of a task for each writer."""
    async with unit_of_work(sessions) as session:
        tasks = [
            await make_task(session, project=project, created_by=owner, title="0") for _ in range(WRITERS)
        ]
        return [await make_run(session, task=task, state={"number": 0}) for task in tasks]


def urls_of(tasks_url: str, runs: list[Run]) -> list[str]:
    of_runs = [f"{tasks_url}/{run.task_id}/runs" for run in runs]
    return [
        tasks_url,
        f"{tasks_url}?archived=all&limit=3",
        f"{tasks_url}?offset=1",
        f"{tasks_url}?ordering=-last_activity_at",
        *(url.removesuffix("/runs") for url in of_runs),
        *of_runs,
        *(f"{url}/{run.id}" for url, run in zip(of_runs, runs, strict=True)),
    ]


def numbers_in(body: Any) -> Mapping[str, int]:
    """Return the number that each task and run of an answer shows, by id."""
    listed = body.get("results", [body])
    rows = [*listed, *(row["latest_run"] for row in listed if row.get("latest_run"))]
    return {row["id"]: int(row["title"] if "title" in row else row["state"]["number"]) for row in rows}


async def test_what_was_acknowledged_before_a_poll_is_seen_by_it(
    client: httpx.AsyncClient, tasks_url: str, runs: list[Run]
) -> None:
    acknowledged: dict[str, int] = {}
    writing = asyncio.Event()
    urls = urls_of(tasks_url, runs)

    async def write(run: Run) -> None:
        for number in range(1, WRITES_EACH + 1):
            task_url = f"{tasks_url}/{run.task_id}"
            if random.random() < 0.5:  # noqa: S311 - a test may be predicted
                changed = await client.patch(task_url, json={"title": str(number)})
            else:
                state = {"state": {"number": number}}
                changed = await client.patch(f"{task_url}/runs/{run.id}", json=state)
            assert changed.status_code == 200
            acknowledged[changed.json()["id"]] = number

    async def ask() -> None:
        poller = Poller(client, urls)
        while not writing.is_set():
            url = random.choice(urls)  # noqa: S311 - a test may be predicted
            expected = dict(acknowledged)
            await poller.ask(url)
            shown = numbers_in(poller.kept[url])
            assert {id_: shown[id_] for id_ in shown if shown[id_] < expected.get(id_, 0)} == {}
        await poller.check()
        assert await poller.check() == len(urls)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(ask())
        await asyncio.gather(*(write(run) for run in runs))
        writing.set()


async def test_change_that_is_committed_late_is_seen(
    client: httpx.AsyncClient, sessions: SessionFactory, tasks_url: str, runs: list[Run]
) -> None:
    """Its transaction began before others that were seen earlier, and has a smaller number."""
    urls = urls_of(tasks_url, runs)
    poller = Poller(client, urls)
    await poller.check()
    early, late = runs[:2]
    async with unit_of_work(sessions) as session:
        await session.execute(update(Task).where(Task.id == late.task_id).values(title="1"))
        await session.execute(update(Run).where(Run.id == late.id).values(error_message="late"))
        assert await poller.check() == len(urls)
        async with unit_of_work(sessions) as other:
            await other.execute(update(Run).where(Run.id == early.id).values(error_message="early"))
        # Lists, and the three answers of its task.
        assert len(urls) - 7 <= await poller.check() <= len(urls) - 5
        assert await poller.check() == len(urls)
    assert await poller.check() < len(urls)
    assert await poller.check() == len(urls)


async def test_limit_that_a_late_claim_reaches_is_seen(
    application: FastAPI,
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    process: ProcessContext,
    sessions: SessionFactory,
    tasks_url: str,
    runs: list[Run],
) -> None:
    """The claim writes no row that is shown, and its transaction began before others that were seen earlier."""
    limited = create_session_factory(engine, info={PROJECT_LIMIT: 1})
    application.state.process = replace(process, sessions=limited)
    claimed, waiting = runs[:2]
    poller = Poller(client, [url for url in urls_of(tasks_url, runs) if str(waiting.task_id) in url])
    lease = {"status": RunStatus.IN_PROGRESS, "lease_owner": "a", "lease_expires_at": utcnow()}
    async with unit_of_work(sessions) as session:
        await session.execute(update(Run).where(Run.id == claimed.id).values(lease))
        async with unit_of_work(sessions) as other:
            asked = update(Run).where(Run.id == waiting.id).values(dispatch_requested_at=utcnow())
            await other.execute(asked)
        await poller.check()
        assert await poller.check() == 3
    assert await poller.check() == 0
    assert await poller.check() == 3
