"""Check whether the database of the stack needs a migration, without loading alembic.

Loading alembic takes as long as starting PostgreSQL. So each start records the revision of the database and the
revision files, and the next start compares them. In doubt the answer is "migrate", which is harmless.
"""

import asyncio
from hashlib import sha256
from pathlib import Path

import asyncpg

import migrations
from app.devstack.home import Home, read_json, write_json

_CONNECT_SECONDS = 5


def needs_migration(home: Home, database_url: str) -> bool:
    """Return whether `taskbeacon migrate` must run, because the database may not be current."""
    noted = read_json(home.schema_json)
    return not noted or noted != _state(database_url)


def note_migration(home: Home, database_url: str) -> None:
    """Note in the home folder of the development stack that the database is current, for `needs_migration`."""
    write_json(home.schema_json, _state(database_url))


def _state(database_url: str) -> dict[str, str]:
    files = sorted(Path(migrations.__file__ or "").parent.glob("versions/*.py"))
    digest = sha256(b"".join(file.read_bytes() for file in files))
    revision = asyncio.run(_database_revision(database_url))
    return {"revision": revision, "files": digest.hexdigest()} if revision else {}


async def _database_revision(database_url: str) -> str | None:
    dsn = database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
    try:
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError):
        # ValueError: asyncpg accepts fewer URLs than SQLAlchemy, which the service uses.
        return None
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision
