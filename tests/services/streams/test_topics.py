"""A follower of topics (contract 14.2) that is interrupted while it reads the ledger."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import EventType
from app.models import Project, Task, User
from app.runtime import ProcessContext
from app.services.events.cursor import Cursor
from app.services.events.reading import is_truncated, read_events
from app.services.streams.topics import FollowedLedger, FollowedTopics, follow_ledger, follow_topics
from app.statements import Fields
from tests.support.principals import member_of
from tests.support.waiting import patient
from tests.support.webhooks import add_event

EVENTS = 150


class BrokenLedger:
    """The ledger as a caller sees it; its server ends the session that reads the second page."""

    def __init__(self, project: Project, owner: User) -> None:
        self._caller = member_of(project, owner)
        self._pages = 0

    async def read(self, session: AsyncSession, after: Cursor, limit: int) -> Sequence[Fields]:
        rows = await read_events(session, self._caller, after, limit=limit)
        self._pages += bool(rows)
        if rows and self._pages == 2:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return rows

    async def is_truncated(self, session: AsyncSession, after: Cursor) -> bool:
        return await is_truncated(session, self._caller, after)


async def first_seqs(topics: FollowedTopics, process: ProcessContext, count: int) -> list[int]:
    """Return the numbers of the first events that the follower sends."""
    seqs: list[int] = []
    async with (
        asyncio.timeout(patient(60)),
        follow_topics(topics, process.stream_clients()) as follower,
        aclosing(follower.frames()) as frames,
    ):
        async for several in frames:
            for frame in several.split(b"\n\n"):
                name, has_data, data = frame.rpartition(b"data: ")
                if has_data and b"event: " not in name:
                    seqs.append(orjson.loads(data)["data"]["seq"])
            if len(seqs) >= count:
                break
    return seqs


async def test_page_before_a_reading_that_fails_is_sent_once(
    sessions: SessionFactory, process: ProcessContext, project: Project, owner: User, task: Task
) -> None:
    """Regression: it was sent again, because the place after it was kept only when all pages were read."""
    broken = BrokenLedger(project, owner)
    ledger = FollowedLedger(("tasks",), broken.read, broken.is_truncated)
    async with unit_of_work(sessions) as session:
        followed = await follow_ledger(session, ledger, None)
    async with unit_of_work(sessions) as session:
        for seq in range(EVENTS):
            await add_event(
                session,
                EventType.TASK_UPDATED,
                project_id=project.id,
                task_id=task.id,
                occurred_at=task.created_at,
                subject_seq=seq,
            )

    assert await first_seqs(followed, process, EVENTS) == list(range(EVENTS))
