"""The live stream of an inbox (contract 15.2), over real HTTP: question events of all projects, resumed by an id."""

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory
from app.enums import EventType
from app.models import Membership, Project, Task, TaskFollow, User
from app.runtime import ProcessContext
from tests.support.assertions import assert_not_authenticated
from tests.support.factories import make_project, make_task, make_user
from tests.support.web.streams import following
from tests.support.webhooks import record_event

INBOX = "/api/users/@me/inbox"


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User) -> Task:
    return await make_task(session, project=project, created_by=owner)


@pytest.fixture
def quick(application: FastAPI) -> None:
    """Signs of life come soon, so that a test sees when all is sent."""
    process: ProcessContext = application.state.process
    settings = process.settings.model_copy(update={"stream_keepalive_seconds": 0.7})
    application.state.process = replace(process, settings=settings)


@pytest.mark.usefixtures("quick")
async def test_questions_of_all_projects_are_followed_and_nothing_else(
    api: httpx.AsyncClient,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    elsewhere, stranger = await make_project(session), await make_user(session, projects=[project])
    session.add(Membership(user_id=owner.id, project_id=elsewhere.id, created_at=utcnow()))
    await session.flush()
    far = await make_task(session, project=elsewhere, created_by=owner)
    private = await make_task(session, project=project, created_by=stranger)
    shared = await make_task(session, project=project, created_by=None)
    followed = await make_task(session, project=project, created_by=None)
    session.add(TaskFollow(user_id=owner.id, task_id=followed.id, created_at=utcnow()))
    await session.flush()
    opened = EventType.QUESTION_OPENED
    async with following(api, INBOX) as stream:
        await stream.until_silent()
        await record_event(sessions, task, EventType.TASK_UPDATED, subject_seq=1)
        await record_event(sessions, private, opened, subject_seq=2)
        await record_event(sessions, shared, opened, subject_seq=3)
        await record_event(sessions, task, opened, subject_seq=4, data={"question_id": "q"})
        await record_event(sessions, far, EventType.QUESTION_WITHDRAWN, subject_seq=5)
        await record_event(sessions, followed, EventType.QUESTION_EXPIRED, subject_seq=6)
        received = await stream.take(3)
    assert [event.data["data"]["seq"] for event in received] == [4, 5, 6]
    assert (received[0].name, received[0].data["type"]) == ("message", "question.opened")
    assert received[0].data["data"]["question_id"] == "q"

    async with following(api, INBOX, after=received[0].id) as stream:
        assert [event.data["data"]["seq"] for event in await stream.take(2)] == [5, 6]
        await session.execute(delete(Membership).where(Membership.user_id == owner.id))
        await record_event(sessions, task, opened, subject_seq=7)
        await stream.until_silent()
        await stream.until_silent()


@pytest.mark.usefixtures("quick")
async def test_stream_of_a_project_has_the_inbox_as_a_topic(
    api: httpx.AsyncClient,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    """One connection for a page of the console: each event once, in the order of the ledger."""
    elsewhere = await make_project(session)
    session.add(Membership(user_id=owner.id, project_id=elsewhere.id, created_at=utcnow()))
    await session.flush()
    far = await make_task(session, project=elsewhere, created_by=owner)
    events = f"/api/projects/{project.id}/events"
    async with following(api, events, topics="tasks,inbox") as stream:
        await stream.until_silent()
        await record_event(sessions, task, EventType.TASK_UPDATED, subject_seq=1)
        await record_event(sessions, far, EventType.TASK_UPDATED, subject_seq=2)
        await record_event(sessions, far, EventType.QUESTION_OPENED, subject_seq=3)
        await record_event(sessions, task, EventType.QUESTION_OPENED, subject_seq=4)
        await record_event(sessions, task, EventType.QUESTION_ANSWERED, subject_seq=5)
        taken = await stream.take(4)
        await stream.until_silent()
    assert [event.data["data"]["seq"] for event in taken] == [1, 3, 4, 5]

    async with following(api, events, topics="inbox,tasks", after=taken[1].id) as stream:
        assert [event.data["data"]["seq"] for event in await stream.take(2)] == [4, 5]
        await stream.until_silent()
    async with following(api, events, topics="inbox,tasks", after="nonsense") as stream:
        gaps = await stream.take(2)
    assert [gap.data["topic"] for gap in gaps] == ["inbox", "tasks"]


async def test_unknown_place_is_a_gap(api: httpx.AsyncClient) -> None:
    async with following(api, INBOX, after="nonsense") as stream:
        (gap,) = await stream.take(1)
    assert (gap.name, gap.data) == ("gap", {"type": "gap", "lost": None, "topic": "inbox"})


async def test_without_a_key_it_is_401(anonymous: httpx.AsyncClient) -> None:
    assert_not_authenticated(await anonymous.get(f"{INBOX}/stream"), 401)
