"""A ledger with a reader, and what is read of it."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType
from app.models import Project, User
from app.schemas.events import EventQuery
from app.services.access.principal import Principal
from app.services.events.cursor import START
from app.services.events.event_reading import list_events, read_events
from tests.support.factories import make_task
from tests.support.principals import member_of
from tests.support.waiting import eventually
from tests.support.webhooks import add_event


@pytest.fixture
def principal(project: Project, owner: User) -> Principal:
    return member_of(project, owner)


@pytest.fixture
async def task_id(session: AsyncSession, project: Project, owner: User) -> UUID:
    return (await make_task(session, project=project, created_by=owner)).id


async def note(session: AsyncSession, project: Project, task_id: UUID, seq: int, **columns: Any) -> UUID:
    values = {"occurred_at": utcnow(), "task_id": task_id, "project_id": project.id, "subject_seq": seq}
    return await add_event(session, EventType.TASK_UPDATED, **{**values, **columns})


class Reader:
    """A reader of the ledger that continues where it left off."""

    def __init__(self, sessions: SessionFactory, principal: Principal) -> None:
        self.seen: list[int | None] = []
        self._sessions = sessions
        self._principal = principal
        self._after = START

    async def read(self) -> None:
        async with unit_of_work(self._sessions) as session:
            rows = await read_events(session, self._principal, self._after, limit=100)
        self.seen += [row.subject_seq for row in rows]
        if rows:
            self._after = rows[-1].place

    async def has_seen(self, *expected: int) -> None:
        async def seen() -> bool:
            await self.read()
            return sorted(filter(None, self.seen)) == sorted(expected)

        await eventually(seen)


async def page(sessions: SessionFactory, principal: Principal, **query: Any) -> Any:
    async with unit_of_work(sessions) as session:
        return await list_events(session, principal, EventQuery.model_validate(query), limit=50, link="")
