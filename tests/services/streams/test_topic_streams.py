"""Followers of topics (contract 14.2): what each gets of the ledger, read by itself or shared with others."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from app.enums import EventType
from app.models import Event, Project, Task, User
from app.runtime import ProcessContext
from app.services.access.principal import Principal
from app.services.events.cursor import START, Cursor
from app.services.events.event_reading import LIVE_PAGE, read_events
from app.services.events.rendering import EventRow
from app.services.streams.ledger_feed import LedgerFeed
from app.services.streams.topic_streams import (
    INBOX,
    TASKS,
    FollowedLedger,
    FollowedTopics,
    follow_ledger,
    follow_topics,
    ledger_of,
)
from tests.support.database.queries import recorded
from tests.support.factories import make_task, make_user
from tests.support.principals import member_of
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually, patient
from tests.support.webhooks import add_event, record_event

EVENTS = 150


class BrokenLedger:
    """The ledger as a caller sees it; its server ends the session that reads the second page."""

    def __init__(self, caller: Principal) -> None:
        self._caller = caller
        self._pages = 0

    async def read(self, session: AsyncSession, after: Cursor, limit: int) -> Sequence[EventRow]:
        rows = await read_events(session, self._caller, after, limit=limit)
        self._pages += bool(rows)
        if rows and self._pages == 2:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return rows


class LateLedger:
    """The ledger as a caller sees it; two events come during the first reading, which sees only the later one.

    As with two topics: the second is read a moment after the first.
    """

    def __init__(self, sessions: SessionFactory, task: Task, caller: Principal) -> None:
        self._sessions = sessions
        self._task = task
        self._caller = caller
        self._is_first = True

    async def read(self, session: AsyncSession, after: Cursor, limit: int) -> Sequence[EventRow]:
        rows: Sequence[EventRow] = ()
        if not self._is_first:
            return await read_events(session, self._caller, after, limit=limit)
        self._is_first = False
        for seq in (1, 2):
            await record_event(self._sessions, self._task, subject_seq=seq)

        async def are_read() -> bool:
            nonlocal rows
            rows = await read_events(session, self._caller, after, limit=limit)
            return len(rows) == 2

        await eventually(are_read)
        return rows[1:]


def followed_by(caller: Principal, read: Any) -> FollowedLedger:
    """Return the events of the caller's project, read by `read`."""
    return replace(ledger_of(caller, [TASKS]), read=read)


def seqs_of(frames: bytes) -> list[int]:
    """Return the numbers of the events of the ledger in these frames."""
    seqs: list[int] = []
    for frame in frames.split(b"\n\n"):
        name, has_data, data = frame.rpartition(b"data: ")
        if has_data and b"event: " not in name:
            seqs.append(orjson.loads(data)["data"]["seq"])
    return seqs


async def take(frames: AsyncGenerator[bytes, None], count: int) -> list[int]:
    """Return the numbers of the next events of the ledger, at least `count`."""
    seqs: list[int] = []
    async with asyncio.timeout(patient(60)):
        while len(seqs) < count:
            seqs += seqs_of(await anext(frames))
    return seqs


@asynccontextmanager
async def frames_of(
    topics: FollowedTopics, process: ProcessContext
) -> AsyncGenerator[AsyncGenerator[bytes, None], None]:
    """Yield the frames of a follower."""
    async with (
        follow_topics(topics, process.stream_clients()) as follower,
        aclosing(follower.frames()) as frames,
    ):
        yield frames


async def first_seqs(topics: FollowedTopics, process: ProcessContext, count: int) -> list[int]:
    """Return the numbers of the first events that the follower sends."""
    async with frames_of(topics, process) as frames:
        return await take(frames, count)


async def open_ledger(
    sessions: SessionFactory, ledger: FollowedLedger, last_id: str | None = None
) -> FollowedTopics:
    async with unit_of_work(sessions) as session:
        return await follow_ledger(session, ledger, last_id)


async def joined(frames: AsyncGenerator[bytes, None], sessions: SessionFactory, task: Task) -> None:
    """Return when the follower shares the reading: it has sent an event that came after its own reading."""
    await anext(frames)
    await record_event(sessions, task, subject_seq=0)
    await take(frames, 1)


@pytest.fixture
def quick(process: ProcessContext) -> ProcessContext:
    """A process that looks at the ledger often."""
    return replace(process, ledger=LedgerFeed(look_seconds=0.02))


async def test_page_before_a_reading_that_fails_is_sent_once(
    sessions: SessionFactory, process: ProcessContext, project: Project, owner: User, task: Task
) -> None:
    """Regression: it was sent again, because the place after it was kept only when all pages were read."""
    caller = member_of(project, owner)
    ledger = followed_by(caller, BrokenLedger(caller).read)
    followed = await open_ledger(sessions, ledger)
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


async def test_event_that_a_later_reading_would_pass_is_sent(
    sessions: SessionFactory, quick: ProcessContext, project: Project, owner: User, task: Task
) -> None:
    """Regression: with two topics, events that came between their readings were skipped if a later one was read."""
    caller = member_of(project, owner)
    ledger = followed_by(caller, LateLedger(sessions, task, caller).read)
    followed = await open_ledger(sessions, ledger, str(START))
    assert await first_seqs(followed, quick, 2) == [1, 2]


async def test_client_that_is_ahead_of_the_shared_reading_gets_no_event_again(
    sessions: SessionFactory,
    settings: Settings,
    process: ProcessContext,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    """It comes from another process that has read more: two batches begin before its position."""
    caller, count = member_of(project, owner), LIVE_PAGE + 1
    narrow = settings.model_copy(update={"database_pool_size": 1})
    engine = create_engine(narrow, application_name="taskbeacon-tests")
    feed = LedgerFeed(look_seconds=0)
    waiting = replace(process, sessions=create_session_factory(engine), ledger=feed)
    rows: Sequence[EventRow] = ()
    async with feed.following(waiting.sessions, owner.id, link="") as other:
        start = await feed.restart(other)

        async def are_settled() -> bool:
            nonlocal rows
            async with unit_of_work(sessions) as session:
                rows = await read_events(session, caller, start, limit=count)
            return len(rows) == count

        # The shared reading waits for its connection.
        connection = await engine.connect()
        async with unit_of_work(sessions) as session:
            for seq in range(count):
                event = Event(type=EventType.TASK_UPDATED, project_id=project.id, task_id=task.id)
                event.subject_seq, event.occurred_at, event.data = seq, task.created_at, {}
                session.add(event)
        await eventually(are_settled)
        ledger = ledger_of(caller, [TASKS])
        followed = await open_ledger(sessions, ledger, str(rows[-1].place))
        async with frames_of(followed, waiting) as frames:
            await anext(frames)
            await record_event(sessions, task, subject_seq=count)
            await connection.close()
            assert await take(frames, 1) == [count]
    await engine.dispose()


@pytest.mark.parametrize("count", [1, 8])
async def test_change_takes_as_many_statements_for_many_followers_as_for_one(
    sessions: SessionFactory,
    session: AsyncSession,
    engine: AsyncEngine,
    quick: ProcessContext,
    project: Project,
    count: int,
) -> None:
    """Each followed the ledger by four statements of its own; writes waited for them."""
    users = [await make_user(session, projects=[project]) for _ in range(count)]
    task = await make_task(session, project=project, created_by=None)
    async with AsyncExitStack() as stack:
        streams = []
        for user in users:
            followed = await open_ledger(sessions, ledger_of(member_of(project, user), [TASKS, INBOX]))
            streams.append(await stack.enter_async_context(frames_of(followed, quick)))
        for frames in streams:
            await anext(frames)
        await asyncio.gather(*(take(frames, 1) for frames in streams[1:]), joined(streams[0], sessions, task))
        async with recorded(engine) as statements:
            await record_event(sessions, task, subject_seq=1)
            taken = [await take(frames, 1) for frames in streams]
    assert taken == [[1]] * count
    # Each page that a follower reads by itself has this too.
    assert len([statement for statement in statements if "memberships" in statement.sql]) == 1


async def test_followers_who_join_while_many_write_get_each_event_once_and_in_order(
    sessions: SessionFactory, quick: ProcessContext, project: Project, owner: User, task: Task
) -> None:
    """Some events are read by a follower itself, the others shared; the two overlap at any moment."""
    writing, count = asyncio.Semaphore(4), 200
    ledger = ledger_of(member_of(project, owner), [TASKS, INBOX])

    async def write(seq: int) -> None:
        async with writing:
            await record_event(sessions, task, subject_seq=seq)

    async def follow() -> list[int]:
        return await first_seqs(await open_ledger(sessions, ledger, str(START)), quick, count)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(seq)) for seq in range(count)]
        followers = []
        for at in range(0, count, 40):
            await writers[at]
            followers.append(group.create_task(follow()))
    received = [follower.result() for follower in followers]
    assert sorted(received[0]) == list(range(count))
    assert received == [received[0]] * len(received)


async def test_slow_client_gets_each_event_once(
    sessions: SessionFactory, quick: ProcessContext, project: Project, owner: User, task: Task
) -> None:
    """Far more readings than wait for one client: it falls behind, and reads the rest by itself."""
    count, ledger = 30, ledger_of(member_of(project, owner), [TASKS])
    async with (
        frames_of(await open_ledger(sessions, ledger), quick) as slow,
        frames_of(await open_ledger(sessions, ledger), quick) as fast,
    ):
        await anext(slow)
        await joined(fast, sessions, task)
        for seq in range(1, count):
            await record_event(sessions, task, subject_seq=seq)
            assert await take(fast, 1) == [seq]
        assert await take(slow, count) == list(range(count))


async def test_outage_of_the_database_costs_no_event(
    sessions: SessionFactory,
    settings: Settings,
    process: ProcessContext,
    project: Project,
    owner: User,
    task: Task,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For one that shares the reading, and for one that comes during the outage."""
    ledger = ledger_of(member_of(project, owner), [TASKS])
    async with interruptible(settings.database_url) as between:
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        cut_off = replace(
            process, sessions=create_session_factory(engine), ledger=LedgerFeed(look_seconds=0.02)
        )
        async with (
            frames_of(await open_ledger(sessions, ledger), cut_off) as before,
            frames_of(await open_ledger(sessions, ledger), cut_off) as meanwhile,
        ):
            await joined(before, sessions, task)
            await between.refuse()
            await record_event(sessions, task, subject_seq=1)
            await eventually(lambda: "events.not_read" in caplog.text)
            await anext(meanwhile)
            await record_event(sessions, task, subject_seq=2)
            await between.resume()
            assert await take(before, 2) == [1, 2]
            assert await take(meanwhile, 3) == [0, 1, 2]
        await engine.dispose()
