"""Old events go, except those that the relay has not read; a restored ledger is adopted."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import select

from app.db import SessionFactory, unit_of_work
from app.db.sweeping import until_none_is_left
from app.models import Event, EventHorizon, EventSnapshot, Project
from app.services.access.principal import Principal
from app.services.events.cursor import Cursor
from app.services.events.event_sweep import adopt_events, prune_events
from app.services.webhook_endpoints.relay import relay_events
from tests.services.events.conftest import Reader, note, page
from tests.support.clock import MovableClock
from tests.support.waiting import eventually


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
    far = 2**40
    async with unit_of_work(sessions) as session:
        for seq in (1, 2):
            await note(session, project, task_id, seq, transaction_id=far + seq)
        numbers = (await session.scalars(select(Event.seq).order_by(Event.seq))).all()
        session.add(EventHorizon(project_id=project.id, transaction_id=far, seq=0))
        await session.flush()
    behind_the_first = str(Cursor(far + 1, numbers[0]))

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
