"""The watch over the callers of live streams in a process (contract 6.4 and 17.5)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from app.ids import new_id
from app.models import ApiKey, ConsoleSession
from app.services.access.principal import Principal
from app.services.access.stream_watch import StreamWatch
from tests.concurrency.races import count_waiting
from tests.support.factories import make_key, make_project, make_user
from tests.support.principals import member_of
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually, next_round


async def open_session(sessions: SessionFactory) -> Principal:
    """Make a user with a key and a console session of it; return the caller that uses it."""
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        user = await make_user(session, projects=[project])
        await make_key(session, user=user)
        key_id = await session.scalar(select(ApiKey.id).where(ApiKey.user_id == user.id))
        now = utcnow()
        row = ConsoleSession(
            id=new_id(),
            key_id=key_id,
            secret_hash=str(user.id),
            created_at=now,
            last_used_at=now,
            expires_at=now + timedelta(days=1),
            user_agent="",
            address="",
        )
        session.add(row)
        return replace(member_of(project, user), key_id=key_id, session_id=row.id)


async def end(sessions: SessionFactory, caller: Principal) -> None:
    async with unit_of_work(sessions) as session:
        await session.execute(delete(ConsoleSession).where(ConsoleSession.id == caller.session_id))


async def test_end_of_one_session_ends_all_of_its_streams_and_no_other(sessions: SessionFactory) -> None:
    first, second = [await open_session(sessions) for _ in range(2)]
    watch, ended = StreamWatch(), set[str]()
    async with (
        watch.watching(sessions, first, (), lambda: ended.add("page")),
        watch.watching(sessions, second, (), lambda: ended.add("other")),
        watch.watching(sessions, first, (), lambda: ended.add("inbox")),
    ):
        await end(sessions, first)
        await eventually(lambda: len(ended) > 1)
        assert ended == {"page", "inbox"}


async def test_streams_outlive_an_outage_of_the_database_and_are_watched_after_it(
    sessions: SessionFactory, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caller = await open_session(sessions)
    ended: list[str] = []
    async with interruptible(settings.database_url) as between:
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        cut_off = create_session_factory(engine)
        async with StreamWatch().watching(cut_off, caller, (), lambda: ended.append("page")):
            await between.refuse()
            await eventually(lambda: "streams.not_looked_at" in caplog.text)
            assert ended == []
            await between.resume()
            await end(sessions, caller)
            await eventually(lambda: bool(ended))
        await engine.dispose()


async def test_unexpected_error_does_not_end_the_watch(
    sessions: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caller = await open_session(sessions)
    planted = [ZeroDivisionError()]
    ended: list[str] = []

    def broken_once() -> AsyncSession:
        if planted:
            raise planted.pop()
        return sessions()

    async with StreamWatch().watching(broken_once, caller, (), lambda: ended.append("page")):
        await end(sessions, caller)
        await eventually(lambda: bool(ended))
    assert "ZeroDivisionError" in caplog.text


async def test_cancelled_stream_breaks_no_connection_of_a_query_that_is_under_way(
    sessions: SessionFactory, settings: Settings
) -> None:
    """Regression: a stream that was cancelled while it waited for the last look cancelled the look."""
    caller = await open_session(sessions)
    engine = create_engine(settings, application_name="taskbeacon-tests")
    broken: list[object] = []
    event.listen(engine.sync_engine, "close", lambda *closed: broken.append(closed))
    over = asyncio.Event()

    async def stream() -> None:
        async with StreamWatch().watching(create_session_factory(engine), caller, (), over.set):
            await over.wait()

    streaming = asyncio.create_task(stream())
    async with unit_of_work(sessions) as session:
        await session.execute(text("LOCK TABLE console_sessions"))
        await eventually(lambda: count_waiting(sessions))
        over.set()
        await next_round()
        streaming.cancel()
        await asyncio.wait({streaming})
        assert streaming.cancelled()
    await eventually(lambda: "Current Checked out connections: 0" in engine.pool.status())
    assert broken == []
    await engine.dispose()
