"""Old events go, except those that the relay has not read; a restored ledger is adopted."""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import SessionFactory, unit_of_work
from app.db.sweeping import until_none_is_left
from app.models import Event, EventHorizon, EventSnapshot, Project
from app.services.access.principal import Principal
from app.services.events.cursor import Cursor
from app.services.events.event_sweep import adopt_events, prune_events
from app.services.webhook_endpoints.relay import relay_events
from tests.concurrency.races import count_waiting
from tests.services.events.conftest import Reader, note, page
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.waiting import eventually

# A transaction of another cluster.
FAR = 2**40


async def test_old_events_go_in_bounded_steps_and_readers_behind_them_get_a_gap(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID, clock: MovableClock
) -> None:
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as session:
        ids = [await note(session, project, task_id, seq) for seq in range(1, 6)]
        session.add(EventSnapshot(event_id=ids[0], snapshot={}))
        await session.flush()
    await reader.has_seen(1, 2, 3, 4, 5)
    behind = await page(sessions, principal)
    clock.advance(days=31)
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 6)

    pruning = partial(prune_events, kept=timedelta(days=30), at_once=2)
    assert await until_none_is_left(sessions, pruning, seconds=0) == 2
    assert await until_none_is_left(sessions, pruning) == 3

    await reader.has_seen(1, 2, 3, 4, 5, 6)
    from_the_start = await page(sessions, principal)
    assert [event["data"]["seq"] for event in from_the_start["results"]] == [6]
    assert from_the_start["truncated"] is True
    assert (await page(sessions, principal, after=behind["next_after"]))["truncated"] is False
    async with unit_of_work(sessions) as session:
        assert (await session.scalars(select(EventSnapshot.event_id))).all() == []


async def test_events_that_the_relay_has_not_read_stay(
    sessions: SessionFactory, project: Project, task_id: UUID, clock: MovableClock
) -> None:
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 1)
    await relay_one(sessions)
    async with unit_of_work(sessions) as session:
        unread = await note(session, project, task_id, 2)
    clock.advance(days=31)

    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1
    async with unit_of_work(sessions) as session:
        assert (await session.scalars(select(Event.id))).all() == [unread]
    await relay_one(sessions)
    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1


async def relay_one(sessions: SessionFactory) -> None:
    async def is_relayed() -> bool:
        """Older transactions, of other tests too, hold the event back."""
        async with unit_of_work(sessions) as session:
            return await relay_events(session, link="", batch=10) == 1

    await eventually(is_relayed)


async def test_events_of_another_cluster_are_adopted_and_places_in_it_hold(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    """As after a dump was restored: numbers of transactions that this cluster will not reach for long."""
    async with unit_of_work(sessions) as session:
        for seq in (1, 2):
            await note(session, project, task_id, seq, transaction_id=FAR + seq)
        numbers = (await session.scalars(select(Event.seq).order_by(Event.seq))).all()
        session.add(EventHorizon(project_id=project.id, transaction_id=FAR, seq=0))
        await session.flush()
    behind_the_first = str(Cursor(FAR + 1, numbers[0]))

    assert await adopt_events(sessions) == 2
    assert await adopt_events(sessions) == 0
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 3)

    reader = Reader(sessions, principal)
    await reader.has_seen(1, 2, 3)
    assert reader.seen == [1, 2, 3]
    resumed = await page(sessions, principal, after=behind_the_first)
    assert [event["data"]["seq"] for event in resumed["results"]] == [2, 3]
    assert resumed["truncated"] is False


async def test_large_ledger_is_adopted_in_bounded_steps_that_readers_see_at_once(
    sessions: SessionFactory, engine: AsyncEngine, project: Project, principal: Principal, task_id: UUID
) -> None:
    """Regression: one statement adopted all, and from some millions of events on it ran into its time limit."""
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as session:
        # Of transactions that wrote in another order than they began: numbers fall from batch to batch.
        last, *_ = [
            await note(session, project, task_id, seq, transaction_id=FAR - seq) for seq in range(1, 6)
        ]

    async with recorded(engine) as statements:
        async with unit_of_work(sessions) as other:
            await other.execute(select(Event).where(Event.id == last).with_for_update())
            adopting = asyncio.create_task(adopt_events(sessions, at_once=2))
            await eventually(partial(count_waiting, sessions))
            await reader.read()
            assert reader.seen == []
        assert await adopting == 5

    assert sum("UPDATE events" in statement.sql for statement in statements) == 3
    await reader.has_seen(1, 2, 3, 4, 5)
    assert reader.seen == [1, 2, 3, 4, 5]
