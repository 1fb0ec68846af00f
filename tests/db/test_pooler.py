"""Behind a pooler that gives each transaction another session of the server (`database_prepared_statements`)."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Integer, bindparam, func, literal, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db import create_engine, create_session_factory, unit_of_work
from app.db.statements import Prepared
from tests.support.deployment.processes import free_port
from tests.support.waiting import eventually

ADDED = Prepared(select(bindparam("number", value=0, type_=Integer) + literal(1)))
KEPT = Prepared(select(func.count()).select_from(text("pg_prepared_statements")))


async def use(engine: AsyncEngine) -> None:
    """Send what the service sends: statements alone, transactions, and both of them often."""
    sessions = create_session_factory(engine)
    for number in range(10):
        async with unit_of_work(sessions) as session:
            assert await ADDED.one(session, {"number": number}) == (number + 1,)
        async with unit_of_work(sessions) as session:
            assert await session.scalar(select(literal(number))) == number
            assert await ADDED.one(session, {"number": number}) == (number + 1,)


async def kept(settings: Settings) -> int:
    """Return how many statements are prepared in a session that was used."""
    engine = create_engine(settings, application_name="taskbeacon-tests")
    await use(engine)
    async with unit_of_work(create_session_factory(engine)) as session:
        (count,) = await KEPT.one(session)
    await engine.dispose()
    return count


async def test_session_keeps_statements_prepared(settings: Settings) -> None:
    assert await kept(settings.model_copy(update={"database_pool_size": 1})) > 1


async def test_session_keeps_none_when_configured_so(settings: Settings) -> None:
    configured = settings.model_copy(update={"database_pool_size": 1, "database_prepared_statements": False})
    assert await kept(configured) == 0


@pytest.fixture
def pooler(settings: Settings) -> Generator[str, None, None]:
    """The URL of the test database through pgbouncer, which keeps no statements of its own."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    url = make_url(settings.database_url)
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{url.username}" "{url.password}"\n', encoding="utf-8")
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={url.host} port={url.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {folder}/users\npool_mode = transaction\n"
            "max_prepared_statements = 0\ndefault_pool_size = 3\n",
            encoding="utf-8",
        )
        # It refuses to be root, and must then read what root wrote.
        folder.chmod(0o755)
        as_other_user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        process = subprocess.Popen([*as_other_user, program, str(folder / "pgbouncer.ini")])
        try:
            yield url.set(port=port).render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
async def pooled_engine(pooler: str, settings: Settings) -> AsyncGenerator[AsyncEngine, None]:
    configured = settings.model_copy(update={"database_url": pooler, "database_prepared_statements": False})
    engine = create_engine(configured, application_name="taskbeacon-tests", plan_once=True)

    async def answers() -> bool:
        try:
            connection = await asyncpg.connect(pooler.replace("+asyncpg", ""), statement_cache_size=0)
        except OSError:
            return False
        await connection.close()
        return True

    await eventually(answers)
    yield engine
    await engine.dispose()


async def test_pgbouncer_in_transaction_mode_works(pooled_engine: AsyncEngine) -> None:
    await use(pooled_engine)
