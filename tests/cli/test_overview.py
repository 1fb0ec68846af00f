"""The command `taskbeacon` itself: its overview, and the time that it takes to start."""

import json
import subprocess
import sys

import click
import pytest

from app import __version__
from app.cli import main
from tests.cli.conftest import Taskbeacon

COMMANDS = ["serve", "worker", "agents", "migrate", "dev", "demo", "try", "console", "openapi", "admin"]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_loads_and_explains_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)

    assert command is not None
    assert command.name == name
    assert command.help


def test_overview_lists_every_command(taskbeacon: Taskbeacon) -> None:
    result = taskbeacon("--help")

    listed = result.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    assert result.exit_code == 0


def test_version_is_that_of_the_package(taskbeacon: Taskbeacon) -> None:
    result = taskbeacon("--version")

    assert (result.exit_code, result.stdout) == (0, f"taskbeacon {__version__}\n")


def test_overview_waits_for_no_library() -> None:
    heavy = ("alembic", "arq", "fastapi", "pydantic", "sqlalchemy", "uvicorn")
    script = f"""
import sys
from app import __version__
from app.cli import main
main(["--help"], standalone_mode=False)
assert not sys.modules.keys() & {set(heavy)}, sys.modules.keys() & {set(heavy)}
"""

    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)


def test_openapi_needs_neither_servers_nor_secrets(taskbeacon: Taskbeacon) -> None:
    result = taskbeacon("openapi", TASKBEACON_DATABASE_URL=None, TASKBEACON_DEVELOPMENT=None)

    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["openapi"].startswith("3.1")
    assert document["paths"]
