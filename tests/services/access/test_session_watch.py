"""The watch over console sessions with live streams in a process (contract 17.5)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from app.ids import new_id
from app.models import ApiKey, ConsoleSession
from app.services.access.session_watch import SessionWatch
from tests.support.factories import make_key, make_project, make_user
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually


async def open_session(sessions: SessionFactory) -> UUID:
    """Make a user with a key and a console session of it; return the id of the session."""
    async with unit_of_work(sessions) as session:
        user = await make_user(session, projects=[await make_project(session)])
        await make_key(session, user=user)
        now = utcnow()
        row = ConsoleSession(
            id=new_id(),
            key_id=await session.scalar(select(ApiKey.id).where(ApiKey.user_id == user.id)),
            secret_hash=str(user.id),
            created_at=now,
            last_used_at=now,
            expires_at=now + timedelta(days=1),
            user_agent="",
            address="",
        )
        session.add(row)
        return row.id


async def end(sessions: SessionFactory, session_id: UUID) -> None:
    async with unit_of_work(sessions) as session:
        await session.execute(delete(ConsoleSession).where(ConsoleSession.id == session_id))


async def test_end_of_one_session_ends_all_of_its_streams_and_no_other(sessions: SessionFactory) -> None:
    first, second = [await open_session(sessions) for _ in range(2)]
    watch, ended = SessionWatch(), set[str]()
    async with (
        watch.watching(sessions, first, lambda: ended.add("page")),
        watch.watching(sessions, second, lambda: ended.add("other")),
        watch.watching(sessions, first, lambda: ended.add("inbox")),
    ):
        await end(sessions, first)
        await eventually(lambda: len(ended) > 1)
        assert ended == {"page", "inbox"}


async def test_streams_outlive_an_outage_of_the_database_and_are_watched_after_it(
    sessions: SessionFactory, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = await open_session(sessions)
    ended: list[UUID] = []
    async with interruptible(settings.database_url) as between:
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        cut_off = create_session_factory(engine)
        async with SessionWatch().watching(cut_off, session_id, lambda: ended.append(session_id)):
            await between.refuse()
            await eventually(lambda: "sessions.not_looked_at" in caplog.text)
            assert ended == []
            await between.resume()
            await end(sessions, session_id)
            await eventually(lambda: bool(ended))
        await engine.dispose()
