"""`make migration m="…"`: draft a revision from the difference between the models and the revisions so far.

The comparison needs a database at the newest revision: a PostgreSQL started for this command only.
"""

import os
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from app.devstack.errors import INTERRUPTED, DevstackError, StopRequested
from app.devstack.home import Home
from app.devstack.processes import Supervisor
from app.devstack.servers.embedded_servers import EmbeddedServers
from app.devstack.stack import stop_on_signals


def draft_migration(message: str) -> int:
    """Write a draft of a migration: the changes of the models since the last migration. Return an exit status."""
    if not message.strip():
        print('Error: say what it is for: make migration m="add presence"', file=sys.stderr)
        return 2
    supervisor = Supervisor()
    with tempfile.TemporaryDirectory(prefix="taskbeacon-migration-") as folder, stop_on_signals(supervisor):
        try:
            _draft(supervisor, Home(Path(folder)), message)
        except StopRequested:
            return INTERRUPTED
        except DevstackError as error:
            print(f"Error: {error}", file=sys.stderr)
            return 1
        finally:
            supervisor.stop()
    return 0


def _draft(supervisor: Supervisor, home: Home, message: str) -> None:
    servers = EmbeddedServers(home, wanted={"postgres"}, durable=False, bucket="")
    servers.start(supervisor)
    servers.await_ready(supervisor, ["postgres"], lambda name, address: print(name, address, flush=True))
    # Unlike `migrate`, this needs the file: it says how revisions are named and formatted.
    config = Config("alembic.ini")
    config.attributes["database_url"] = servers.environment["TASKBEACON_DATABASE_URL"].replace(
        "postgresql://", "postgresql+asyncpg://", 1
    )
    command.upgrade(config, "head")
    command.revision(config, message=message, autogenerate=True)


if __name__ == "__main__":
    os.environ.setdefault("TASKBEACON_DEVELOPMENT", "true")
    sys.exit(draft_migration(" ".join(sys.argv[1:])))
