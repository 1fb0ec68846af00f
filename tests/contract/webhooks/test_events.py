"""The ledger of events (contract 14): each change once, with ids and statuses and no text that people wrote."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.dialogue.shown_questions import ShownQuestion
from app.enums import QuestionKind, RunReason, RunStatus
from app.models import Event, EventSnapshot, Project, Run, User
from app.runtime import ProcessContext
from app.services.events.event_types import CATALOGUE
from app.services.runs import command_delivery, run_lifecycle
from tests.support import runs
from tests.support.assertions import assert_invalid
from tests.support.callers import CallerKind, bearer
from tests.support.factories import make_key, make_user
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.stand_ins.receiver import Receiver, receiving
from tests.support.waiting import eventually
from tests.support.web.clients import in_process_client
from tests.support.webhooks import Deliveries, delivering, make_endpoint, with_loopback

_SECRET = "a secret that nobody must hear of"


@pytest.fixture
def events_url(project: Project) -> str:
    return f"/api/projects/{project.id}/events"


async def read(client: httpx.AsyncClient, url: str, count: int, **query: Any) -> list[dict[str, Any]]:
    """Return the events once there are so many: those of transactions elsewhere on the server hold them up."""
    rows: list[dict[str, Any]] = []

    async def complete() -> bool:
        nonlocal rows
        rows = (await client.get(f"{url}/", params={"limit": "100", **query})).json()["results"]
        return len(rows) >= count

    await eventually(complete)
    assert len(rows) == count, [row["type"] for row in rows]
    for row in rows:
        body = {"type": row["type"], "timestamp": row["timestamp"], "data": row["data"]}
        Draft202012Validator(CATALOGUE[row["type"]].schema).validate(body)
    return rows


def types_and_seqs(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["type"], row["data"]["seq"]) for row in rows]


async def test_life_of_a_task(
    client: httpx.AsyncClient, tasks_url: str, events_url: str, project: Project
) -> None:
    task = (await client.post(tasks_url, json={"title": "A", "description": _SECRET})).json()
    url = f"{tasks_url}/{task['id']}"
    await client.patch(url, json={"title": "B", "description": _SECRET, "archived": True})
    # Nothing but `updated_at` changes.
    await client.patch(url, json={})
    await client.patch(url, json={"title": "B"})
    await client.delete(url)

    rows = await read(client, events_url, 3)

    assert types_and_seqs(rows) == [("task.created", 1), ("task.updated", 2), ("task.deleted", 3)]
    assert rows[1]["data"]["changed"] == ["archived", "title"]
    assert rows[0]["data"] == {
        "project_id": project.id,
        "task_id": task["id"],
        "seq": 1,
        "url": f"/api/projects/{project.id}/tasks/{task['id']}/",
    }
    assert rows[0]["timestamp"] == task["created_at"]


async def test_refused_update_records_no_event(
    client: httpx.AsyncClient, tasks_url: str, session: AsyncSession
) -> None:
    task = (await client.post(tasks_url, json={})).json()
    response = await client.patch(f"{tasks_url}/{task['id']}", json={"title": "B", "repository": "nonsense"})
    assert response.status_code == 400
    assert await session.scalar(select(func.count()).select_from(Event)) == 1


async def test_life_of_a_run_that_a_client_performs(
    client: httpx.AsyncClient, tasks_url: str, events_url: str
) -> None:
    task = (await client.post(tasks_url, json={})).json()
    runs = f"{tasks_url}/{task['id']}/runs"
    run = (await client.post(runs)).json()
    for status in ("in_progress", "queued", "in_progress", "completed", "completed"):
        assert (await client.patch(f"{runs}/{run['id']}", json={"status": status})).status_code == 200

    rows = await read(client, events_url, 4, run_id=run["id"])

    assert types_and_seqs(rows) == [
        ("run.queued", 1),
        ("run.started", 2),
        ("run.queued", 3),
        ("run.completed", 4),
    ]
    assert rows[-1]["data"]["status"] == "completed"
    assert {row["data"]["run_id"] for row in rows} == {run["id"]}


async def test_life_of_a_run_that_workers_perform(
    client: httpx.AsyncClient,
    tasks_url: str,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
) -> None:
    task = (await client.post(tasks_url, json={})).json()
    run_id = (await client.post(f"{tasks_url}/{task['id']}/run")).json()["latest_run"]["id"]
    run = (await session.scalars(select(Run))).one()
    followers = RecordingEvents()

    async with unit_of_work(sessions) as own:
        assert await run_lifecycle.claim(own, owner="first", events=followers)
    await session.execute(update(Run).values(lease_expires_at=utcnow()))
    async with unit_of_work(sessions) as own:
        await runs.recover_lapsed(own, events=followers)
    async with unit_of_work(sessions) as own:
        assert await run_lifecycle.claim(own, owner="second", events=followers)
    artifact: Any = {"id": "f" * 32, "type": "output", "size": 3, "name": _SECRET}
    end = run_lifecycle.RunEnd(
        status=RunStatus.FAILED, error_message=_SECRET, reason=RunReason.AGENT_TIMED_OUT, artifacts=[artifact]
    )
    async with unit_of_work(sessions) as own:
        assert await run_lifecycle.finish(own, run.id, end, owner="second", events=followers)
        # Too late: it is over.
        assert not await run_lifecycle.finish(own, run.id, end, owner="second", events=followers)

    rows = await read(client, events_url, 5, run_id=run_id)

    assert types_and_seqs(rows) == [
        ("run.queued", 1),
        ("run.started", 2),
        ("run.recovered", 3),
        ("run.failed", 4),
        ("run.artifact_added", 5),
    ]
    assert rows[1]["data"]["attempt"] == rows[2]["data"]["attempt"] == 1
    assert rows[0]["data"]["queue_position"] == rows[2]["data"]["queue_position"] == 1
    assert rows[3]["data"]["error_type"] == "agent_timed_out"
    assert rows[4]["data"]["artifact_id"] == "f" * 32


async def test_queued_event_has_the_place_that_the_run_has(
    client: httpx.AsyncClient, tasks_url: str, events_url: str
) -> None:
    shown = []
    for _ in range(3):
        task = (await client.post(tasks_url, json={})).json()
        run = (await client.post(f"{tasks_url}/{task['id']}/run")).json()["latest_run"]
        shown.append(run["state"]["queue_position"])
    # A client performs this one: it waits for no worker.
    task = (await client.post(tasks_url, json={})).json()
    assert (await client.post(f"{tasks_url}/{task['id']}/runs")).status_code == 201

    rows = await read(client, events_url, 4, type="run.queued")

    places = [row["data"].get("queue_position") for row in rows]
    assert places == [*shown, None] == [1, 2, 3, None]


async def test_queued_event_of_a_run_that_is_started_later_has_its_place(
    client: httpx.AsyncClient, tasks_url: str, events_url: str
) -> None:
    """Regression: the event was recorded before a worker was requested, and had no place."""
    later = (utcnow() + timedelta(hours=1)).isoformat()
    scheduled = (await client.post(tasks_url, json={"scheduled_at": later})).json()
    task = (await client.post(tasks_url, json={})).json()
    created = (await client.post(f"{tasks_url}/{task['id']}/runs", json={"environment": "cloud"})).json()
    urls = [f"{tasks_url}/{run['task']}/runs/{run['id']}" for run in (scheduled["run"], created)]
    assert (await client.patch(urls[1], json={"status": "not_started"})).status_code == 200
    for url in urls:
        assert (await client.post(f"{url}/start")).status_code == 200

    rows = await read(client, events_url, 3, type="run.queued")

    assert [row["data"].get("queue_position") for row in rows] == [None, 1, 2]


async def test_agent_that_waits_for_a_person(
    session: AsyncSession,
    sessions: SessionFactory,
    client: httpx.AsyncClient,
    tasks_url: str,
    events_url: str,
) -> None:
    task = (await client.post(tasks_url, json={})).json()
    await client.post(f"{tasks_url}/{task['id']}/run")
    run = (await session.scalars(select(Run))).one()
    followers = RecordingEvents()
    async with unit_of_work(sessions) as own:
        assert await run_lifecycle.claim(own, owner="worker", events=followers)
    options = [{"optionId": "yes", "name": _SECRET, "kind": "allow_once"}]
    question = ShownQuestion(kind=QuestionKind.PERMISSION, title=_SECRET, options=options)
    asked = question.request_id
    for waiting_for in (question, ShownQuestion(kind=QuestionKind.MESSAGE, detail=_SECRET)):
        async with unit_of_work(sessions) as own:
            await command_delivery.start_waiting(own, run.id, waiting_for, owner="worker", seen=None)
        if waiting_for is question:
            async with unit_of_work(sessions) as own:
                assert await command_delivery.stop_waiting(own, run.id, asked, owner="worker")
                assert not await command_delivery.stop_waiting(own, run.id, asked, owner="worker")
    command = {"jsonrpc": "2.0", "method": "user_message", "params": {"content": _SECRET}}
    answer = await client.post(f"{tasks_url}/{task['id']}/runs/{run.id}/command", json=command)
    assert answer.json()["result"] == {"queued": True}

    rows = await read(client, events_url, 10, run_id=str(run.id))

    waits = [
        (row["type"], row["data"].get("kind"), row["data"].get("question_id"))
        for row in rows[2:]
        if row["type"].startswith("run.")
    ]
    assert waits == [
        ("run.awaiting_input", "permission", str(question.id)),
        ("run.resumed", "permission", str(question.id)),
        ("run.awaiting_input", "message", None),
        ("run.resumed", "message", None),
    ]
    of_questions = [
        (row["type"], row["data"]["kind"], row["data"]["urgency"])
        for row in rows[2:]
        if row["type"].startswith("question.")
    ]
    assert of_questions == [
        ("question.opened", "permission", "normal"),
        ("question.withdrawn", "permission", "normal"),
        ("question.opened", "message", "low"),
        ("question.answered", "message", "low"),
    ]
    assert _SECRET not in str(rows)


async def test_pages_go_on_from_the_last_event_and_filters_apply(
    client: httpx.AsyncClient, tasks_url: str, events_url: str
) -> None:
    tasks = [(await client.post(tasks_url, json={})).json()["id"] for _ in range(5)]
    await client.post(f"{tasks_url}/{tasks[0]}/run")
    await read(client, events_url, 6)
    seen: list[str] = []
    page = (await client.get(events_url, params={"limit": "2"})).json()
    while page["results"]:
        seen += [row["id"] for row in page["results"]]
        assert list(page) == ["results", "next_after", "truncated"]
        page = (await client.get(events_url, params={"limit": "2", "after": page["next_after"]})).json()
    assert len(seen) == len(set(seen)) == 6

    assert len(await read(client, events_url, 1, type="run.*")) == 1
    assert len(await read(client, events_url, 2, task_id=tasks[0])) == 2
    assert len(await read(client, events_url, 1, type="task.created", task_id=tasks[0])) == 1
    assert_invalid(await client.get(events_url, params={"after": "x"}), "after", "invalid_input")
    assert_invalid(await client.get(events_url, params={"type": "task.x"}), "type", "invalid_choice")
    assert_invalid(await client.get(events_url, params={"task_id": "x"}), "task_id", "invalid_input")
    assert_invalid(await client.get(events_url, params={"run_id": "x"}), "run_id", "invalid_input")


@pytest.mark.caller(CallerKind.MEMBER)
async def test_other_members_see_nothing_of_a_private_task(
    client: httpx.AsyncClient,
    application: FastAPI,
    session: AsyncSession,
    project: Project,
    tasks_url: str,
    events_url: str,
) -> None:
    other = await make_user(session, projects=[project])
    creator = in_process_client(application, headers=bearer(await make_key(session, user=other)))
    await creator.post(tasks_url, json={"title": "Private"})
    await creator.post(tasks_url, json={"title": "Shared", "origin_product": "onboarding"})
    assert len(await read(creator, events_url, 2)) == 2

    assert len(await read(client, events_url, 1)) == 1


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(min_size=4, max_size=40).filter(lambda text: "\x00" not in text and len(text.strip()) > 3)
)
async def test_thin_bodies_hold_nothing_that_people_wrote(
    client: httpx.AsyncClient, tasks_url: str, session: AsyncSession, text: str
) -> None:
    mark = f"Ω{text.encode().hex()}"
    task = (await client.post(tasks_url, json={"title": mark, "description": mark, "ci_prompt": mark})).json()
    url = f"{tasks_url}/{task['id']}"
    await client.patch(url, json={"description": mark + "!"})
    run = (await client.post(f"{url}/run", json={"branch": mark, "pending_user_message": mark})).json()
    await client.patch(
        f"{url}/runs/{run['latest_run']['id']}",
        json={"status": "failed", "error_message": mark, "branch": mark, "output": {"a": mark}},
    )
    rows = (await session.scalars(select(Event).where(Event.task_id == task["id"]))).all()
    assert len(rows) == 4
    assert not any(mark in str(row.data) for row in rows)


class TestFullBodies:
    @pytest.fixture
    async def receiver(self) -> AsyncGenerator[Receiver, None]:
        async with receiving() as receiver:
            yield receiver

    @pytest.fixture
    async def deliveries(
        self, process: ProcessContext, application: FastAPI
    ) -> AsyncGenerator[Deliveries, None]:
        application.state.process = with_loopback(process)
        async with delivering(process) as deliveries:
            yield deliveries

    async def test_task_and_run_are_those_of_the_moment(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        receiver: Receiver,
        deliveries: Deliveries,
    ) -> None:
        await make_endpoint(
            session, project=project, created_by=owner, url=receiver.url("full"), payload="full"
        )
        await make_endpoint(session, project=project, created_by=owner, url=receiver.url("thin"))
        task = (await client.post(tasks_url, json={"title": "First"})).json()
        url = f"{tasks_url}/{task['id']}"
        await client.patch(url, json={"title": "Second"})
        started = (await client.post(f"{url}/run")).json()
        run_url = f"{url}/runs/{started['latest_run']['id']}"
        file = {"name": "notes.txt", "type": "output", "content": "x"}
        await client.post(f"{run_url}/artifacts", json={"artifacts": [file]})
        await client.patch(run_url, json={"status": "cancelled"})
        ended = (await client.get(url)).json()

        await deliveries.deliver()

        bodies = {message.content["type"]: message.data for message in receiver.at("full")}
        assert bodies["task.created"]["task"] == task
        for shown in (started, ended):
            # A stored body opens nothing by itself.
            shown["latest_run"]["log_url"] = None
        [artifact] = ended["latest_run"]["artifacts"]
        artifact["url"] = None
        assert bodies["run.queued"]["run"] == started["latest_run"]
        assert bodies["run.cancelled"]["task"] == ended
        assert bodies["run.cancelled"]["run"] == ended["latest_run"]
        assert all("task" not in message.data for message in receiver.at("thin"))

    async def test_large_one_is_cut_to_ids(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        receiver: Receiver,
        deliveries: Deliveries,
    ) -> None:
        await make_endpoint(session, project=project, created_by=owner, url=receiver.url(), payload="full")
        await client.post(tasks_url, json={"description": "x" * 30_000})

        await deliveries.deliver()

        (message,) = receiver.messages
        assert message.data["truncated"] is True
        assert "task" not in message.data

    async def test_nothing_is_kept_for_a_project_without_endpoints(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str
    ) -> None:
        await client.post(tasks_url, json={})
        assert await session.scalar(select(func.count()).select_from(EventSnapshot)) == 0
