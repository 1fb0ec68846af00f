"""Comparison of a database's schema with that of this release."""

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.db.schema_revision import (
    Revision,
    database_revision,
    expected_revision,
    revisions_between,
    schema_is_current,
)
from tests.support.database.faults import rolled_back


@pytest.fixture
async def session(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """A transaction that is never committed: what it does to the schema is seen here alone."""
    async with rolled_back(sessions) as session:
        yield session


async def test_migrated_database_is_current(session: AsyncSession) -> None:
    assert await database_revision(session) == expected_revision()
    assert await schema_is_current(session)


async def test_database_without_tables_is_not_current(session: AsyncSession) -> None:
    await session.execute(text("DROP TABLE alembic_version"))

    assert await database_revision(session) is None
    assert not await schema_is_current(session)


async def test_unfinished_first_migration_is_not_current(session: AsyncSession) -> None:
    await session.execute(text("DELETE FROM alembic_version"))

    assert not await schema_is_current(session)


@pytest.mark.parametrize(("revision", "is_current"), [("0001", False), ("of a later release", True)])
async def test_older_schema_is_refused_and_later_one_accepted(
    session: AsyncSession, revision: str, is_current: bool
) -> None:
    await session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})

    assert await schema_is_current(session) is is_current


def test_revisions_between_are_listed_oldest_first() -> None:
    first = Revision("0001", "Tasks, runs and accounts.")
    everything = revisions_between(None, expected_revision())

    assert everything[0] == first
    assert everything[-1].id == expected_revision()
    assert [*revisions_between(None, "0001"), *revisions_between("0001", expected_revision())] == [
        *everything
    ]
    assert not revisions_between(expected_revision(), expected_revision())
