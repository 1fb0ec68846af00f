"""The ledger: kept with the change or not at all, read without gaps whatever commits late, and swept."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.models import Event, Project
from app.services.access.principal import Principal
from tests.services.events.conftest import Reader, note


async def test_transaction_that_commits_after_two_others_is_not_skipped(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as slow:
        await note(slow, project, task_id, 1)
        for seq in (2, 3):
            async with unit_of_work(sessions) as fast:
                await note(fast, project, task_id, seq)
        # What is committed waits for what may still come before it.
        await reader.read()
        assert reader.seen == []

    await reader.has_seen(1, 2, 3)
    assert reader.seen == [1, 2, 3]


async def test_older_transaction_that_writes_last_is_not_skipped(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    """The older transaction has the lowest and the highest number: by number alone its first event would be skipped."""
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as older:
        await note(older, project, task_id, 1)
        async with unit_of_work(sessions) as newer:
            await note(newer, project, task_id, 2)
        await note(older, project, task_id, 3)
        await reader.read()

    await reader.has_seen(1, 2, 3)


async def test_nothing_is_skipped_or_doubled_by_a_reader_among_many_writers(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    reader = Reader(sessions, principal)
    writing = asyncio.Semaphore(8)

    async def write(seq: int) -> None:
        async with writing, unit_of_work(sessions) as session:
            await note(session, project, task_id, 2 * seq)
            await note(session, project, task_id, 2 * seq + 1)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(seq)) for seq in range(1, 101)]
        while not all(writer.done() for writer in writers):
            await reader.read()

    await reader.has_seen(*range(2, 202))


async def test_change_that_is_rolled_back_leaves_no_event(
    sessions: SessionFactory, session: AsyncSession, project: Project, task_id: UUID
) -> None:
    async def change() -> None:
        async with unit_of_work(sessions) as failing:
            await note(failing, project, task_id, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()

    assert await session.scalar(select(Event.id)) is None
