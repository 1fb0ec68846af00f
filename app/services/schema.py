"""Which schema this release needs, and whether the database has it.

The revisions are those of the `migrations` package, which lies beside `app` in a checkout and in an installed wheel.
Every process asks at its start, so they are read without alembic, which takes longer to import than the question; what
changes a schema is in `app/services/schema_upgrade.py`.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import migrations
from app.db import SessionFactory, unit_of_work

__all__ = [
    "OutdatedSchema",
    "Revision",
    "database_revision",
    "expected_revision",
    "require_current_schema",
    "revisions_between",
    "schema_is_current",
]


class OutdatedSchema(Exception):
    """The database lacks revisions that this release needs."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A step of the schema; `purpose` is the first line of its file."""

    id: str
    purpose: str


def expected_revision() -> str:
    """Return the newest revision that this release knows; read from the migrations folder once per process."""
    return _known_revisions()[0].id


def revisions_between(old: str | None, new: str | None) -> Sequence[Revision]:
    """Return the known revisions after `old` up to `new`, oldest first; None stands for an empty database."""
    oldest_first = _known_revisions()[::-1]
    position = {revision.id: index for index, revision in enumerate(oldest_first)}
    start = position[old] + 1 if old in position else 0
    end = position[new] + 1 if new in position else 0
    return oldest_first[start:end]


async def database_revision(session: AsyncSession) -> str | None:
    """Return the revision that the database is at, None when it was never migrated."""
    # Asked first, because selecting from a missing table would spoil the transaction.
    if await session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def schema_is_current(session: AsyncSession) -> bool:
    """Return whether this release can work with the database: it lacks none of the revisions known here.

    A revision that is unknown here comes from a later release. It counts as current: releases run side by side
    during a deploy, and a migration stays compatible with the release before it (migrations/README.md).
    """
    revision = await database_revision(session)
    if revision is None:
        return False
    return revision == expected_revision() or all(revision != known.id for known in _known_revisions())


async def require_current_schema(sessions: SessionFactory) -> None:
    """Return if this release can work with the database; the API and the worker start behind this.

    Raises OutdatedSchema otherwise.
    """
    async with unit_of_work(sessions) as session:
        if not await schema_is_current(session):
            raise OutdatedSchema("the database schema is not current: run `taskbeacon migrate`")


@lru_cache(maxsize=1)
def _known_revisions() -> tuple[Revision, ...]:
    """Return all revisions, newest first: they are one line, without branches (tests/test_migrations.py)."""
    folder = Path(next(iter(migrations.__path__))) / "versions"
    after = dict(_read_revision(file) for file in folder.glob("*.py"))
    revisions: list[Revision] = []
    while (revision := after.get(revisions[-1].id if revisions else None)) is not None:
        revisions.append(revision)
    return tuple(reversed(revisions))


def _read_revision(file: Path) -> tuple[str | None, Revision]:
    """Return the revision that a file makes, behind the id of the one before it."""
    module = ast.parse(file.read_bytes())
    constants = {
        target.id: statement.value.value
        for statement in module.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    purpose = (ast.get_docstring(module) or "").partition("\n")[0]
    before = constants["down_revision"]
    return None if before is None else str(before), Revision(str(constants["revision"]), purpose)
