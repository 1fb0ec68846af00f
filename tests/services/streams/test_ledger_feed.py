"""One reading of the ledger serves all live streams in this process (ADR 60)."""

import asyncio

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from app.models import Project, Task, User
from app.services.events.event_reading import find_end, read_events
from app.services.streams.ledger_feed import Batch, Following, LedgerFeed
from tests.support.database.faults import altered
from tests.support.factories import make_user
from tests.support.principals import member_of
from tests.support.waiting import eventually, next_round
from tests.support.webhooks import record_event

QUICK = 0.02


def numbers(batch: Batch | None) -> list[int | None]:
    assert batch is not None
    return [event.row.subject_seq for event in batch.events]


async def take(stream: Following, count: int) -> list[int | None]:
    """Return the numbers of the next events, which may come in several batches."""
    taken: list[int | None] = []
    while len(taken) < count:
        taken += numbers(await stream.next())
    return taken


async def test_feed_goes_on_after_a_fault(
    sessions: SessionFactory, engine: AsyncEngine, task: Task, owner: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Every stream of the process waited for ever, and nothing was logged."""
    away = altered(
        engine, "ALTER TABLE events RENAME TO planted", undo="ALTER TABLE planted RENAME TO events"
    )
    feed = LedgerFeed(look_seconds=QUICK)
    async with feed.following(sessions, owner.id, link="") as stream:
        await feed.restart(stream)
        async with away:
            await eventually(lambda: "events.unexpected_error" in caplog.text)
            # It reads for itself, and ends if it cannot either.
            assert await stream.next() is None
        await feed.restart(stream)
        await record_event(sessions, task, subject_seq=1)
        assert numbers(await stream.next()) == [1]


async def test_all_streams_share_the_events_of_a_batch_and_their_bytes(
    sessions: SessionFactory, task: Task, owner: User
) -> None:
    feed = LedgerFeed(look_seconds=QUICK)
    async with (
        feed.following(sessions, owner.id, link="") as one,
        feed.following(sessions, owner.id, link="") as other,
    ):
        await feed.restart(one)
        await feed.restart(other)
        await record_event(sessions, task, subject_seq=1)
        batches = [await one.next(), await other.next()]
    assert batches[0] is not None
    assert batches[0] is batches[1]
    [event] = batches[0].events
    assert event.frame is event.frame


async def test_user_who_comes_during_a_reading_reads_for_themselves(
    sessions: SessionFactory,
    session: AsyncSession,
    settings: Settings,
    project: Project,
    task: Task,
    owner: User,
) -> None:
    """The memberships that were read are without theirs: no event of that reading would be sent to them."""
    member = await make_user(session, projects=[project])
    engine = create_engine(
        settings.model_copy(update={"database_pool_size": 1}), application_name="taskbeacon-tests"
    )
    of_feed = create_session_factory(engine)
    feed = LedgerFeed(look_seconds=0)
    async with feed.following(of_feed, owner.id, link="") as before:
        start = await feed.restart(before)

        async def is_settled() -> bool:
            async with unit_of_work(sessions) as own:
                return await find_end(own) > start

        # The reading has begun, and waits for its connection.
        connection = await engine.connect()
        await record_event(sessions, task, subject_seq=1)
        await eventually(is_settled)
        async with feed.following(of_feed, member.id, link="") as meanwhile:
            await feed.restart(meanwhile)
            await connection.close()
            assert numbers(await before.next()) == [1]
            assert await meanwhile.next() is None
            await feed.restart(meanwhile)
            await record_event(sessions, task, subject_seq=2)
            assert numbers(await meanwhile.next()) == [2]
    await engine.dispose()


async def test_stream_that_takes_nothing_holds_few_batches_and_reads_for_itself(
    sessions: SessionFactory, project: Project, task: Task, owner: User
) -> None:
    feed = LedgerFeed(look_seconds=QUICK)
    async with (
        feed.following(sessions, owner.id, link="") as quick,
        feed.following(sessions, owner.id, link="") as slow,
    ):
        start = await feed.restart(quick)
        await feed.restart(slow)
        for seq in range(10):
            await record_event(sessions, task, subject_seq=seq)
            assert await take(quick, 1) == [seq]
        assert await slow.next() is None
        end = await feed.restart(slow)
        async with unit_of_work(sessions) as session:
            rows = await read_events(session, member_of(project, owner), start, limit=100)
        assert [row.subject_seq for row in rows] == list(range(10))
        assert rows[-1].place == end
        await record_event(sessions, task, subject_seq=10)
        assert numbers(await slow.next()) == [10]


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_end_of_the_last_stream_breaks_no_query_under_way(
    sessions: SessionFactory, settings: Settings, owner: User, *, is_cancelled: bool
) -> None:
    """Regression: the query was cancelled, also with its caller, which closed its connection to the database."""
    engine = create_engine(settings, application_name="taskbeacon-feed")
    closed: list[object] = []
    event.listen(engine.sync_engine, "invalidate", lambda *_: closed.append("invalidated"))
    event.listen(engine.sync_engine, "close", lambda *_: closed.append("closed"))
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'taskbeacon-feed' AND wait_event_type = 'Lock'"
    )
    feed = LedgerFeed(look_seconds=QUICK)

    async def follow(may_end: asyncio.Event) -> None:
        async with feed.following(create_session_factory(engine), owner.id, link="") as stream:
            await feed.restart(stream)
            begun.set()
            await may_end.wait()

    begun, may_end = asyncio.Event(), asyncio.Event()
    stream = asyncio.create_task(follow(may_end))
    await begun.wait()
    async with unit_of_work(sessions) as holder, unit_of_work(sessions) as watcher:
        await holder.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))

        async def is_under_way() -> bool:
            return bool(await watcher.scalar(waiting))

        await eventually(is_under_way)
        may_end.set()
        for _ in range(5):
            await next_round()
        assert not stream.done()
        if is_cancelled:
            stream.cancel()
    await asyncio.wait({stream})
    assert stream.cancelled() == is_cancelled
    await eventually(lambda: "Current Checked out connections: 0" in engine.pool.status())
    assert closed == []
    await engine.dispose()
