"""Decision of the stack whether to migrate, also where the database cannot be asked."""

from collections.abc import Generator

import pytest

from app.devstack.stack import needs_migration
from tests.fixtures.database import Databases
from tests.support.deployment.processes import closed_port


@pytest.fixture
def empty_database(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    yield from databases.lend(f"{worker_id}_stack", migrated=False)


def test_database_at_the_newest_revision_is_not_migrated(database_url: str) -> None:
    assert not needs_migration(database_url)


def test_empty_database_is_migrated(empty_database: str) -> None:
    assert needs_migration(empty_database)


@pytest.mark.parametrize("password", ["plain", "p#w", "p/w", "p[w"])
def test_unreadable_or_unreachable_database_means_migrate(password: str) -> None:
    assert needs_migration(f"postgresql+asyncpg://me:{password}@127.0.0.1:{closed_port()}/x")
