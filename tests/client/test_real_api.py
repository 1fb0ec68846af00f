"""Both clients against the real API on a socket, with the database, Redis and store behind it."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.models import Project
from taskbeacon.client import AccessDenied, Conflict, End, Event, NotFound, ServerError, Waiting
from tests.client.conftest import Calls, NewCalls
from tests.support.callers import CallerKind, Cast
from tests.support.waiting import eventually
from tests.support.web.serving import serving


@pytest_asyncio.fixture
async def url(application: FastAPI) -> AsyncGenerator[str, None]:
    async with serving(application) as url:
        yield url


@pytest.fixture
def calls(url: str, new_calls: NewCalls, cast: Cast, project: Project) -> Calls:
    key = cast.callers[CallerKind.OWNER].headers["Authorization"].removeprefix("Bearer ")
    return new_calls(url, token=key, project=project.id)


async def test_a_task_from_its_creation_to_its_end(calls: Calls) -> None:
    task = await calls.call("tasks.create", title="Fix it", request_id="once")
    again = await calls.call("tasks.create", title="Fix it", request_id="once")
    assert again["id"] == task["id"]
    with pytest.raises(Conflict) as raised:
        await calls.call("tasks.create", title="Another", request_id="once")
    assert raised.value.code == "idempotency_conflict"
    for reference in (task["task_number"], task["slug"].lower(), task["id"], "@latest", again):
        assert (await calls.call("tasks.get", reference))["id"] == task["id"]
    assert (await calls.call("tasks.update", task, title="Fix this"))["title"] == "Fix this"
    assert [row["id"] for row in await calls.items("tasks.list", search="Fix this")] == [task["id"]]
    run = (await calls.call("tasks.run", task, branch="main"))["latest_run"]
    for reference in (run, run["id"], task["slug"], "@latest"):
        assert (await calls.call("runs.get", reference))["id"] == run["id"]
    assert [row["id"] for row in await calls.items("runs.list", task)] == [run["id"]]
    assert (await calls.call("runs.cancel", run))["status"] == "cancelled"
    assert (await calls.call("runs.wait", run))["status"] == "cancelled"
    with pytest.raises(Conflict):
        await calls.call("runs.send", run, "hello")
    await calls.call("tasks.delete", task)
    with pytest.raises(NotFound):
        await calls.call("tasks.get", task)


async def test_a_run_is_followed_while_it_works(
    calls: Calls, client: httpx.AsyncClient, tasks_url: str
) -> None:
    task = await calls.call("tasks.create", title="Follow me")
    run = (await calls.call("tasks.run", task))["latest_run"]
    run_url = f"{tasks_url}/{task['id']}/runs/{run['id']}"
    entry = {"type": "notification", "timestamp": "2026-01-01T00:00:00Z"}
    entries = [entry | {"notification": {"method": "x", "params": {"n": number}}} for number in range(3)]
    following = asyncio.create_task(calls.items("runs.follow", run))
    await client.post(f"{run_url}/append_log", json={"entries": entries})
    await client.patch(run_url, json={"status": "completed"})
    items = await following
    assert isinstance(items[-1], End)
    assert items[-1].status == "completed"
    seen = [item.data for item in items if isinstance(item, Event)]
    assert [each["notification"]["params"]["n"] for each in seen if "notification" in each] == [0, 1, 2]
    assert seen[-1]["type"] == "task_run_state"
    assert not [item for item in items if isinstance(item, Waiting)]
    first = next(item for item in items if isinstance(item, Event) and "notification" in item.data)
    rest = await calls.items("runs.follow", run, after=first.event_id)
    assert rest == items[items.index(first) + 1 :]
    log = await calls.items("runs.log", run)
    # `run follow` relies on it, not to show twice what it has shown before a question.
    assert log == [each for each in seen if "notification" in each]
    assert (await calls.call("runs.diff", run))["files"] == []
    assert await calls.call("runs.patch", run) == b""


async def test_files(calls: Calls, client: httpx.AsyncClient, tasks_url: str, tmp_path: Path) -> None:
    task = await calls.call("tasks.create", title="With files")
    (notes := tmp_path / "notes.md").write_bytes(b"# Notes")
    staged = await calls.call("artifacts.upload", task, notes)
    started = await calls.call("tasks.run", task, pending_user_artifact_ids=[staged["id"]])
    run = started["latest_run"]
    folder = tmp_path / "downloads"
    folder.mkdir()
    written = await calls.call("artifacts.download", run, staged["id"], folder)
    assert (written.name, written.read_bytes()) == ("notes.md", b"# Notes")
    patch = {"name": "changes.patch", "type": "output", "content": "diff --git"}
    url = f"{tasks_url}/{task['id']}/runs/{run['id']}/artifacts"
    assert (await client.post(url, json={"artifacts": [patch]})).status_code == 200
    assert await calls.call("runs.patch", run) == b"diff --git"


async def test_the_ledger_is_followed_behind_an_event(calls: Calls) -> None:
    before = (await calls.call("request", "GET", "events"))["next_after"]
    task = await calls.call("tasks.create", title="An event")
    rows: list[Any] = []

    async def are_read() -> bool:
        rows[:] = await calls.items("events.list", task_id=task["id"])
        return bool(rows)

    # No reader sees an event before every older transaction has ended, those of other tests too (ADR 60).
    await eventually(are_read)
    assert [row["type"] for row in rows] == ["task.created"]
    (event,) = await calls.items("events.stream", after=before, most=1)
    assert isinstance(event, Event)
    assert (event.type, event.data["id"]) == ("task.created", rows[0]["id"])


async def test_webhooks_and_the_inbox(calls: Calls) -> None:
    endpoint = await calls.call("webhooks.create", url="https://hooks.example/", event_types=["run.*"])
    assert endpoint["secret"].startswith("whsec_")
    assert [row["id"] for row in await calls.items("webhooks.list")] == [endpoint["id"]]
    assert (await calls.call("webhooks.update", endpoint, enabled=False))["enabled"] is False
    assert await calls.items("webhooks.deliveries", endpoint) == []
    await calls.call("webhooks.delete", endpoint)
    with pytest.raises(NotFound):
        await calls.call("webhooks.get", endpoint)
    assert await calls.items("questions.list") == []


async def test_a_key_that_is_none(url: str, new_calls: NewCalls) -> None:
    calls = new_calls(url, token="phx_nobody")
    for path in ("tasks", "/api/users/@me"):
        with pytest.raises(AccessDenied) as raised:
            await calls.call("request", "GET", path)
        assert raised.value.code == "authentication_failed"
        assert raised.value.request_id
    with pytest.raises(ServerError):
        await calls.call("request", "GET", "/api/../docs")
