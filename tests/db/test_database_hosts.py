"""Several hosts of a database, of which one is silent or is not the primary any more (app/db/engine.py)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import func, make_url, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.db.statements import Prepared
from app.models import User
from app.outages import DatabaseUnavailable

WRITE = update(User).where(User.id == 0).values(first_name="")
PREPARED = Prepared(WRITE.returning(User.id))
ALONE = Prepared(WRITE.returning(User.id), alone=True)


@pytest.mark.parametrize("write", [lambda session: session.execute(WRITE), PREPARED.first, ALONE.first])
async def test_server_that_refuses_to_write_is_left(
    settings: Settings, write: Callable[[AsyncSession], Awaitable[object]]
) -> None:
    """A standby, or a primary that became one, kept the connection: each write failed for half an hour."""
    engine = create_engine(settings.model_copy(update={"database_pool_size": 1}), application_name="tests")
    sessions = create_session_factory(engine)
    async with unit_of_work(sessions) as session:
        await session.execute(text("SET default_transaction_read_only = on"))

    with pytest.raises(DatabaseUnavailable):
        async with unit_of_work(sessions) as session:
            await write(session)

    async with unit_of_work(sessions) as session:
        await write(session)
    await engine.dispose()


async def test_silent_host_is_asked_once(settings: Settings) -> None:
    """The driver gave all hosts together one time limit, so the second was never asked."""
    asked: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    url = make_url(settings.database_url)
    hosts = f"127.0.0.1:{silent.sockets[0].getsockname()[1]},{url.host}:{url.port}"
    both = f"postgresql://{url.username}:{url.password}@{hosts}/{url.database}"
    several = Settings.model_validate(settings.model_dump() | {"database_url": both})
    engine = create_engine(several, application_name="tests", connect_seconds=2)
    sessions = create_session_factory(engine)

    async with unit_of_work(sessions) as one, unit_of_work(sessions) as other:
        backends = {await session.scalar(select(func.pg_backend_pid())) for session in (one, other)}

    assert len(backends) == 2
    assert len(asked) == 1
    await engine.dispose()
    silent.close()
    for writer in asked:
        writer.close()
        await writer.wait_closed()
