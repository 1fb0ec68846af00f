"""Two people follow one project (contract 14.2): what one of them may see changes between an event and its reading."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType, OriginProduct
from app.models import Membership, Project, Task, TaskFollow, User
from app.services.streams.ledger_feed import LedgerFeed
from tests.support.callers import bearer
from tests.support.factories import make_key, make_task, make_user
from tests.support.web.streams import StreamEvent, StreamReader, following
from tests.support.webhooks import add_event, record_event

INBOX = "/api/users/@me/inbox"


@pytest.fixture
def events_url(project: Project) -> str:
    return f"/api/projects/{project.id}/events"


@pytest.fixture(autouse=True)
def quick(application: FastAPI) -> None:
    """Signs of life come soon, so that a test sees when all is sent, and the ledger is looked at often."""
    process = application.state.process
    settings = process.settings.model_copy(update={"stream_keepalive_seconds": 0.7})
    application.state.process = replace(process, settings=settings, ledger=LedgerFeed(look_seconds=0.05))


@pytest.fixture
async def member(session: AsyncSession, project: Project) -> User:
    return await make_user(session, projects=[project])


@pytest.fixture
async def shared(session: AsyncSession, project: Project, owner: User) -> Task:
    """A task of the owner that every member sees."""
    return await make_task(
        session, project=project, created_by=owner, origin_product=OriginProduct.ONBOARDING
    )


@asynccontextmanager
async def both(
    api: httpx.AsyncClient, session: AsyncSession, member: User, url: str, **query: str
) -> AsyncGenerator[list[StreamReader], None]:
    """Yield the streams of the owner and of the member, which share the reading of the ledger."""
    key = await make_key(session, user=member)
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(following(api, url, headers=headers, **query))
            for headers in ({}, bearer(key))
        ]
        for stream in streams:
            await stream.until_silent()
        yield streams


@asynccontextmanager
async def unread(sessions: SessionFactory, task: Task) -> AsyncGenerator[None, None]:
    """Hold all readers before the events that the block records; an event of `task` with number 1 is the first."""
    async with unit_of_work(sessions) as older:
        await add_event(
            older,
            EventType.TASK_UPDATED,
            project_id=task.project_id,
            task_id=task.id,
            subject_seq=1,
            occurred_at=utcnow(),
        )
        yield


def seqs(received: list[StreamEvent]) -> list[Any]:
    return [event.data["data"]["seq"] for event in received]


async def test_events_after_the_end_of_a_membership_are_not_sent(
    api: httpx.AsyncClient,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
    member: User,
    shared: Task,
) -> None:
    async with both(api, session, member, events_url) as (of_owner, of_member):
        async with unread(sessions, shared):
            await session.execute(delete(Membership).where(Membership.user_id == member.id))
        assert seqs(await of_owner.take(1)) == [1]
        await record_event(sessions, shared, subject_seq=2)
        assert seqs(await of_owner.take(1)) == [2]
        # It ends within a second (contract 6.4).
        assert await of_member.rest() == []


async def test_questions_after_the_end_of_an_account_are_not_sent(
    api: httpx.AsyncClient, session: AsyncSession, sessions: SessionFactory, member: User, shared: Task
) -> None:
    session.add(TaskFollow(user_id=member.id, task_id=shared.id, created_at=utcnow()))
    await session.flush()
    async with both(api, session, member, INBOX) as (of_owner, of_member):
        await record_event(sessions, shared, EventType.QUESTION_OPENED, subject_seq=1)
        assert seqs(await of_member.take(1)) == [1]
        async with unread(sessions, shared):
            await record_event(sessions, shared, EventType.QUESTION_ANSWERED, subject_seq=2)
            await session.execute(update(User).where(User.id == member.id).values(is_active=False))
        assert seqs(await of_owner.take(2)) == [1, 2]
        # It ends within a second (contract 6.4).
        assert await of_member.rest() == []


async def test_events_of_a_task_that_is_now_private_are_sent_to_its_creator_alone(
    api: httpx.AsyncClient,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    member: User,
    shared: Task,
) -> None:
    for_all = await make_task(session, project=project, created_by=None)
    async with both(api, session, member, events_url, topics="tasks,inbox") as (of_owner, of_member):
        async with unread(sessions, for_all):
            await record_event(sessions, shared, subject_seq=2)
            await record_event(sessions, shared, EventType.QUESTION_OPENED, subject_seq=3)
            narrowed = update(Task).where(Task.id == shared.id)
            await session.execute(narrowed.values(origin_product=OriginProduct.USER_CREATED))
            await record_event(sessions, for_all, subject_seq=4)
        assert seqs(await of_owner.take(4)) == [1, 2, 3, 4]
        assert seqs(await of_member.take(2)) == [1, 4]


async def test_task_that_is_deleted_leaves_its_events_and_takes_its_questions(
    api: httpx.AsyncClient,
    events_url: str,
    session: AsyncSession,
    sessions: SessionFactory,
    project: Project,
    owner: User,
    member: User,
    shared: Task,
) -> None:
    kept = await make_task(session, project=project, created_by=owner)
    opened = EventType.QUESTION_OPENED
    async with (
        both(api, session, member, events_url) as (_, of_member),
        following(api, INBOX) as inbox,
    ):
        await inbox.until_silent()
        async with unread(sessions, shared):
            await record_event(sessions, shared, opened, subject_seq=2)
            deleted = {"deleted": True, "deleted_at": utcnow()}
            await session.execute(update(Task).where(Task.id == shared.id).values(deleted))
            await record_event(sessions, kept, opened, subject_seq=3)
        assert seqs(await of_member.take(2)) == [1, 2]
        assert seqs(await inbox.take(1)) == [3]
