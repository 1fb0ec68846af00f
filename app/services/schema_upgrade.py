"""How the database gets the schema of this release: by alembic, which only those import who need it."""

from pathlib import Path

from alembic import command
from alembic.config import Config

import migrations

__all__ = ["migration_config", "upgrade_schema"]


def migration_config(database_url: str) -> Config:
    """Return alembic's configuration for this database, independent of the working directory and of alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(Path(next(iter(migrations.__path__)))).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    # Not a main option: those are interpolated, and a password may hold a percent sign.
    config.attributes["database_url"] = database_url
    return config


def upgrade_schema(database_url: str) -> None:
    """Bring the database to the newest revision; harmless when it is there already, and concurrent calls take turns.

    Runs an event loop of its own, so it is called from synchronous code or from a thread. Raises alembic's
    `CommandError` when the database is at a revision that this release does not know.
    """
    command.upgrade(migration_config(database_url), "head")
