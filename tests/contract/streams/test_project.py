"""The live stream of a project (contract 14), over real HTTP: its ledger and runs, resumed by one id."""

from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import delete
from sqlalchemy.event import listen, remove
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.live_events.event_hub import EventHub
from app.clients.live_events.run_event_publisher import RunEvents
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType
from app.models import Membership, Project, Task, User
from app.runtime import ProcessContext
from app.services.events.event_sweep import prune_events
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.callers import CallerKind
from tests.support.factories import make_run, make_task, make_user
from tests.support.waiting import eventually
from tests.support.web.streams import StreamEvent, StreamReader, following
from tests.support.webhooks import record_event

ANY_ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def events_url(project: Project) -> str:
    return f"/api/projects/{project.id}/events"


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User) -> Task:
    return await make_task(session, project=project, created_by=owner)


@pytest.fixture
def quick(application: FastAPI) -> None:
    """Signs of life come soon, so that a test sees when all is sent."""
    configure(application, stream_keepalive_seconds=0.7)


def configure(application: FastAPI, **settings: float) -> None:
    process: ProcessContext = application.state.process
    application.state.process = replace(process, settings=process.settings.model_copy(update=settings))


async def say(events: RunEvents, run_id: UUID, *numbers: int) -> None:
    for number in numbers:
        events.put(run_id, orjson.dumps({"n": number}))
    await events.settle()


def seqs(received: list[StreamEvent]) -> list[Any]:
    return [event.data["data"]["seq"] for event in received if event.name == "message"]


async def began(stream: StreamReader) -> None:
    """Return when the stream follows: what is written from now on is sent."""
    await stream.until_silent()


@pytest.mark.usefixtures("quick")
async def test_ledger_is_followed_from_now_on_and_resumed_without_a_gap(
    api: httpx.AsyncClient, events_url: str, sessions: SessionFactory, task: Task
) -> None:
    earlier = await record_event(sessions, task, subject_seq=1)

    async def is_listed() -> bool:
        """Return whether the event can be read: not while an older transaction is open anywhere in the cluster."""
        return str(earlier) in {row["id"] for row in (await api.get(events_url)).json()["results"]}

    await eventually(is_listed)
    async with following(api, events_url) as stream:
        await began(stream)
        event_id = await record_event(sessions, task, subject_seq=2, data={"changed": ["title"]})
        (received,) = await stream.take(1)
    assert received.name == "message"
    listed = (await api.get(events_url)).json()["results"]
    assert received.data == next(row for row in listed if row["id"] == str(event_id))
    await record_event(sessions, task, subject_seq=3)
    await record_event(sessions, task, subject_seq=4)

    async with following(api, events_url, after=received.id) as stream:
        assert seqs(await stream.take(2)) == [3, 4]


@pytest.mark.usefixtures("quick")
async def test_few_streams_of_many_read_at_once(
    api: httpx.AsyncClient, events_url: str, sessions: SessionFactory, engine: AsyncEngine, task: Task
) -> None:
    """All are woken at once: fifty took every connection of the process, and writes waited for all of them."""
    open_now: set[Any] = set()
    most = 0

    def take(_connection: Any, record: Any, _proxy: Any) -> None:
        nonlocal most
        open_now.add(record)
        most = max(most, len(open_now))

    def give_back(_connection: Any, record: Any) -> None:
        open_now.discard(record)

    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(following(api, events_url)) for _ in range(12)]
        for stream in streams:
            await began(stream)
        listen(engine.sync_engine, "checkout", take)
        listen(engine.sync_engine, "checkin", give_back)
        try:
            event_id = await record_event(sessions, task, subject_seq=1)
            received = [(await stream.take(1))[0].data["id"] for stream in streams]
        finally:
            remove(engine.sync_engine, "checkout", take)
            remove(engine.sync_engine, "checkin", give_back)
    assert received == [str(event_id)] * len(streams)
    # Two streams, the one look at the ledger for all, and the writer that does not know yet that its commit is done.
    assert 0 < most <= 4


@pytest.mark.usefixtures("quick")
async def test_one_id_holds_the_places_in_the_ledger_and_in_each_run(
    api: httpx.AsyncClient,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
    events: RunEvents,
    task: Task,
) -> None:
    runs = [(await make_run(session, task=task)).id for _ in range(2)]
    for run_id in runs:
        await say(events, run_id, 1, 2)
    topics = ",".join(["tasks", *(f"run:{run_id}" for run_id in runs)])
    async with following(api, events_url, topics=topics) as stream:
        received = [event for event in await stream.take(6) if "n" in event.data]
        assert {(event.name, event.data["n"]) for event in received} == {
            (f"run:{run_id}", number) for run_id in runs for number in (1, 2)
        }
        await began(stream)
        await record_event(sessions, task, subject_seq=1)
        await stream.take(1)
        last = stream.last_id
    await say(events, runs[0], 3)
    await say(events, runs[1], 4)
    await record_event(sessions, task, subject_seq=2)

    async with following(api, events_url, topics=topics, after=last) as stream:
        later = await stream.take(3)
    assert seqs(later) == [2]
    assert {(event.name, event.data["n"]) for event in later if "n" in event.data} == {
        (f"run:{runs[0]}", 3),
        (f"run:{runs[1]}", 4),
    }


@pytest.mark.usefixtures("quick")
async def test_removed_events_are_admitted(
    api: httpx.AsyncClient, events_url: str, sessions: SessionFactory, task: Task
) -> None:
    async with following(api, events_url) as stream:
        await began(stream)
        await record_event(sessions, task, subject_seq=1)
        (received,) = await stream.take(1)
    await record_event(sessions, task, occurred_at=utcnow() - timedelta(days=31))
    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1

    for after in (received.id, "nonsense"):
        async with following(api, events_url, after=after) as stream:
            (gap,) = await stream.take(1)
        assert (gap.name, gap.data) == ("gap", {"type": "gap", "lost": None, "topic": "tasks"})


@pytest.mark.usefixtures("quick")
async def test_removed_events_are_reported_once(
    api: httpx.AsyncClient, events_url: str, sessions: SessionFactory, task: Task
) -> None:
    """Regression: each growth of the ledger repeated the gap until the caller saw an event."""
    async with following(api, events_url) as stream:
        await stream.until_silent()
    await record_event(sessions, task, occurred_at=utcnow() - timedelta(days=31))
    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1

    async with following(api, events_url, after=stream.last_id) as stream:
        (gap,) = await stream.take(1)
        await record_event(sessions, task, subject_seq=1)
        (event,) = await stream.take(1)
    assert (gap.name, event.name) == ("gap", "message")


async def test_stream_ends_when_its_life_is_over(
    api: httpx.AsyncClient, events_url: str, application: FastAPI
) -> None:
    configure(application, stream_life_seconds=1)
    async with following(api, events_url) as stream:
        (end,) = await stream.rest()
    assert (end.name, end.data) == ("end", {"type": "rotated"})


async def test_stream_ends_with_the_process(api: httpx.AsyncClient, events_url: str, hub: EventHub) -> None:
    async with following(api, events_url) as stream:
        hub.end_all()
        assert await stream.rest() == []


@pytest.mark.usefixtures("quick")
async def test_what_may_be_seen_is_decided_at_each_reading(
    api: httpx.AsyncClient,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    stranger = await make_user(session, projects=[project])
    hidden = await make_task(session, project=project, created_by=stranger)
    async with following(api, events_url) as stream:
        await began(stream)
        await record_event(sessions, hidden, subject_seq=7)
        await record_event(sessions, task, EventType.TASK_DELETED, subject_seq=1)
        assert seqs(await stream.take(1)) == [1]
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        await record_event(sessions, task, subject_seq=2)
        assert await stream.rest() == []


@pytest.mark.caller(CallerKind.MEMBER)
async def test_run_that_is_not_visible_is_not_found(
    api: httpx.AsyncClient, events_url: str, session: AsyncSession, task: Task
) -> None:
    run = await make_run(session, task=task)
    for name in (str(run.id), ANY_ID, "nonsense", ""):
        response = await api.get(f"{events_url}/stream", params={"topics": f"tasks,run:{name}"})
        assert_not_found(response)


@pytest.mark.parametrize(
    ("topics", "code", "detail"),
    [
        ("nothing", "invalid_choice", '"nothing" is not a valid choice; choose from tasks, inbox, run:<id>.'),
        ("tasks,runs", "invalid_choice", '"runs" is not a valid choice; choose from tasks, inbox, run:<id>.'),
        (",".join(f"run:{number}" for number in range(21)), "max_length", "At most 20 topics."),
    ],
)
async def test_invalid_topics_are_refused(
    api: httpx.AsyncClient, events_url: str, topics: str, code: str, detail: str
) -> None:
    response = await api.get(f"{events_url}/stream/", params={"topics": topics})
    assert_invalid(response, "topics", code, detail)


async def test_stream_that_breaks_before_its_first_event_is_resumed_where_it_began(
    api: httpx.AsyncClient, events_url: str, project: Project
) -> None:
    async with following(api, events_url, topics="tasks,inbox") as stream:
        await stream.until_silent()
    assert stream.last_id is not None
    await api.post(f"/api/projects/{project.id}/tasks", json={"title": "Say hello"})
    async with following(api, events_url, after=stream.last_id, topics="tasks,inbox") as stream:
        [event] = await stream.take(1)
    assert event.data["type"] == "task.created"
