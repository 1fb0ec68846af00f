"""`taskbeacon migrate`: whatever state a database is in, and however many want to change it at once."""

import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from app.cli.database import with_sessions
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.db.schema_revision import expected_revision
from app.ids import new_hex_id
from tests.cli.conftest import Taskbeacon
from tests.fixtures.database import Databases
from tests.support.deployment.command_line import run_taskbeacon


@pytest.fixture
def fresh_database_url(databases: Databases) -> Generator[str, None, None]:
    yield from databases.lend(new_hex_id()[:12], migrated=False)


def test_processes_that_migrate_at_once_take_turns(
    taskbeacon: Taskbeacon, fresh_database_url: str, tmp_path: Path
) -> None:
    """Both are called from a folder that is no checkout."""

    def migrate(_: int) -> subprocess.CompletedProcess[str]:
        return run_taskbeacon("migrate", cwd=tmp_path, TASKBEACON_DATABASE_URL=fresh_database_url)

    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(migrate, range(2)))

    assert [process.returncode for process in ended] == [0, 0], ended
    printed = max((process.stdout for process in ended), key=len)
    assert printed.startswith("0001  Tasks, runs and accounts.\n")
    assert printed.endswith(f"The schema is at {expected_revision()}.\n")
    again = taskbeacon("migrate", TASKBEACON_DATABASE_URL=fresh_database_url)
    assert again.stdout == f"Nothing to do: the schema is at {expected_revision()}.\n"


def test_database_of_a_later_release_is_left_alone(taskbeacon: Taskbeacon, fresh_database_url: str) -> None:
    async def pretend(sessions: SessionFactory) -> None:
        async with unit_of_work(sessions) as session:
            await session.execute(text("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"))
            await session.execute(text("INSERT INTO alembic_version VALUES ('later')"))

    with_sessions(Settings(database_url=fresh_database_url), pretend)

    ended = taskbeacon("migrate", TASKBEACON_DATABASE_URL=fresh_database_url)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Error: cannot migrate: Can't locate revision identified by 'later'" in ended.stderr
