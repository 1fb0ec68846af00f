"""Decision of the stack whether to migrate, where the database cannot be asked."""

from pathlib import Path

import pytest

from app.devstack.home import Home
from app.devstack.stack import needs_migration, note_migration
from tests.support.deployment.processes import closed_port


@pytest.mark.parametrize("password", ["plain", "p#w", "p/w", "p[w"])
def test_unreadable_or_unreachable_database_means_migrate(tmp_path: Path, password: str) -> None:
    home = Home(tmp_path)
    url = f"postgresql+asyncpg://me:{password}@127.0.0.1:{closed_port()}/x"

    note_migration(home, url)

    assert needs_migration(home, url)
