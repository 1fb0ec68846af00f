"""Compare the schema revision of the database with the one that this release needs, and upgrade it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import migrations
from app.db import SessionFactory, unit_of_work

if TYPE_CHECKING:
    from alembic.config import Config


class OutdatedSchema(Exception):
    """Raised if the database lacks schema revisions that this release needs."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of the database schema; `purpose` is the first line of its migration's docstring."""

    id: str
    purpose: str


def expected_revision() -> str:
    return _known_revisions()[0].id


def revisions_between(old: str | None, new: str | None) -> Sequence[Revision]:
    """Return the revisions after `old` up to `new`, oldest first; None is an empty database."""
    oldest_first = _known_revisions()[::-1]
    position = {revision.id: index for index, revision in enumerate(oldest_first)}
    start = position[old] + 1 if old in position else 0
    end = position[new] + 1 if new in position else 0
    return oldest_first[start:end]


async def database_revision(session: AsyncSession) -> str | None:
    """Return the id of the database's schema revision; None if the database was never migrated."""
    # Checked first, because selecting from a missing table would abort the transaction.
    if await session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def schema_is_current(session: AsyncSession) -> bool:
    """Return whether the database has all revisions that this release knows; it may have those of a later release."""
    revision = await database_revision(session)
    if revision is None:
        return False
    return revision == expected_revision() or all(revision != known.id for known in _known_revisions())


async def require_current_schema(sessions: SessionFactory) -> None:
    """Check that the database's schema fits this release. The API and the worker call this before they start."""
    async with unit_of_work(sessions) as session:
        if not await schema_is_current(session):
            raise OutdatedSchema("the database schema is not current: run `taskbeacon migrate`")


def migration_config(database_url: str) -> "Config":
    """Return alembic's configuration for this database, independent of the working directory and of alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    # Not a main option: those are interpolated, and a password may hold a percent sign.
    config.attributes["database_url"] = database_url
    return config


def upgrade_schema(database_url: str) -> None:
    """Upgrade to the newest revision, one call at a time, in its own event loop. Raises CommandError."""
    from alembic import command

    command.upgrade(migration_config(database_url), "head")


@lru_cache(maxsize=1)
def _known_revisions() -> tuple[Revision, ...]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(migration_config(""))
    return tuple(Revision(script.revision, script.doc) for script in scripts.walk_revisions())
