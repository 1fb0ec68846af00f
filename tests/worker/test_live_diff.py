"""What clients see of a run's changes while its agent works or waits, and afterwards (contract 19)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.callers import bearer
from tests.support.factories import make_key
from tests.support.waiting import eventually
from tests.support.web.clients import in_process_client
from tests.worker.pilot import Pilot, listening

JSON = dict[str, Any]

FIRST = "```sh\necho two > README.md; echo new > new.txt; rm gone.txt\n```\n```ask options=go\nReady?\n```"
MORE = "```sh\necho three >> new.txt\n```\n```ask options=go\nReady?\n```"


@pytest.fixture(autouse=True)
async def woken(workshop: Workshop) -> AsyncGenerator[None, None]:
    async with listening(workshop):
        yield


@pytest.fixture
async def client(workshop: Workshop, shared_application: FastAPI) -> AsyncGenerator[httpx.AsyncClient, None]:
    shared_application.state.process = workshop.context.process
    async with unit_of_work(workshop.sessions) as session:
        key = await make_key(session, user=workshop.owner)
    async with in_process_client(shared_application, headers=bearer(key)) as client:
        yield client


async def queued(workshop: Workshop, repositories: Repositories, description: str) -> Pilot:
    repositories.create("acme/app", {"README.md": "one\n", "gone.txt": "old\n"})
    state = {"mode": "interactive"}
    return Pilot(workshop, await workshop.queued_run(description, state=state, repository="acme/app"))


def url_of(run: Run) -> str:
    return f"/api/projects/{run.project_id}/tasks/{run.task_id}/runs/{run.id}"


def statuses(diff: JSON) -> dict[str, str]:
    return {file["path"]: file["status"] for file in diff["files"]}


async def test_diff_is_there_while_the_agent_waits_and_stays_at_the_end(
    workshop: Workshop, repositories: Repositories, client: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n{MORE}")
    url = url_of(pilot.run)
    before = (await client.get(f"{url}/diff?source=auto")).json()
    assert (before["source"], before["missing"], before["files"]) == ("live", "not_started", [])
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    answer = await client.get(f"{url}/diff?source=auto")

    first = answer.json()
    assert (first["source"], first["missing"], first["left_out"]) == ("live", None, [])
    assert statuses(first) == {"README.md": "M", "gone.txt": "D", "new.txt": "A"}
    assert first["totals"] == {"files": 3, "additions": 2, "deletions": 2}
    assert "+two\n" in first["files"][0]["patch"]
    again = await client.get(f"{url}/diff?source=auto", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    base = (await client.get(f"{url}/diff/file?source=auto&path=README.md")).json()
    assert base == {"path": "README.md", "tree": first["tree"], "text": "one\n", "missing": None}
    new = (await client.get(f"{url}/diff/file?source=auto&path=new.txt")).json()
    assert (new["text"], new["missing"]) == (None, "no_text")

    await pilot.answer("go")

    async def shows_more() -> bool:
        shown = (await client.get(f"{url}/diff?source=live")).json()
        return bool(shown["totals"] == {"files": 3, "additions": 3, "deletions": 2})

    await eventually(shows_more)
    await pilot.until_waiting_for("permission")
    await pilot.answer("go")
    await pilot.until_waiting_for("message")
    await pilot.send("close")
    await job
    done = (await client.get(url)).json()
    assert (done["status"], done["state"]["changes"]) == (
        RunStatus.COMPLETED,
        {"files": 3, "additions": 3, "deletions": 2},
    )
    stored = (await client.get(f"{url}/diff?source=auto")).json()
    assert (stored["source"], stored["missing"], stored["totals"]) == (
        "stored",
        None,
        done["state"]["changes"],
    )
    assert statuses(stored) == statuses(first)
    kept = (await client.get(f"{url}/diff/file?path=gone.txt")).json()
    assert kept == {"path": "gone.txt", "tree": None, "text": "old\n", "missing": None}
    over = (await client.get(f"{url}/diff?source=live")).json()
    assert (over["missing"], over["files"]) == ("over", [])


async def test_clients_that_ask_together_have_one_diff_made(
    workshop: Workshop, repositories: Repositories, client: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST)
    job = pilot.start()
    await pilot.until_waiting_for("permission")

    answers = await asyncio.gather(*(client.get(f"{url_of(pilot.run)}/diff?source=live") for _ in range(10)))

    assert len({answer.content for answer in answers}) == 1, "more than one has been made"
    assert answers[0].json()["totals"]["files"] == 3
    await pilot.send("cancel")
    await pilot.send("close")
    await job


async def test_followers_learn_that_the_diff_has_changed(
    workshop: Workshop, repositories: Repositories, client: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, FIRST)
    hub, redis = workshop.context.process.hub, workshop.context.process.redis
    async with hub.follow(pilot.run.id) as follower:
        assert await follower.is_connected(within=10)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await pilot.until_logged('"run.changes"')
    events = [
        orjson.loads(fields[b"data"])
        for _, fields in await redis.xrange(f"taskbeacon:run-events:{pilot.run.id}")
    ]
    frames = [event for event in events if event["type"] == "run.changes"]
    assert frames[-1].keys() == {"type", "files", "additions", "deletions", "tree", "at"}
    shown = (await client.get(f"{url_of(pilot.run)}/diff?source=live")).json()
    assert (frames[-1]["files"], frames[-1]["tree"]) == (3, shown["tree"])
    assert (await client.get(url_of(pilot.run))).json()["state"]["changes"] == shown["totals"]
    await pilot.send("close")
    await pilot.send("cancel")
    await job
    assert await pilot.log("run.changes") == []


async def test_followers_learn_of_an_edit_that_a_request_came_too_soon_for(
    workshop: Workshop, repositories: Repositories, client: httpx.AsyncClient
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n```sh\necho three >> new.txt\n```")
    url = f"{url_of(pilot.run)}/diff?source=live"
    hub, redis = workshop.context.process.hub, workshop.context.process.redis
    async with hub.follow(pilot.run.id) as follower:
        assert await follower.is_connected(within=10)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await client.get(url)
        await pilot.answer("go")
        await pilot.until_waiting_for("message")
        await client.get(url)

        async def is_announced() -> bool:
            events = await redis.xrange(f"taskbeacon:run-events:{pilot.run.id}")
            frames = [orjson.loads(fields[b"data"]) for _, fields in events]
            return any(frame["type"] == "run.changes" and frame["additions"] == 3 for frame in frames)

        await eventually(is_announced)
    await pilot.send("close")
    await job


async def test_nothing_is_made_for_a_run_that_no_client_looks_at(
    workshop: Workshop, repositories: Repositories
) -> None:
    pilot = await queued(workshop, repositories, f"{FIRST}\n```say\ndone\n```")
    job = pilot.start()
    await pilot.until_waiting_for("permission")
    await pilot.answer("go")
    await pilot.until_waiting_for("message")

    folders = list(workshop.context.process.settings.workspaces_path.glob("*/compared-*"))

    assert folders == []
    await pilot.send("close")
    await job
