"""A database of the command line's own, since its commands commit, and ways to call them in this process."""

import json
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli import main
from app.cli.database import with_sessions
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.ids import new_hex_id
from tests.fixtures.database import Databases
from tests.support.logs import kept_logging

Found = TypeVar("Found")

Taskbeacon = Callable[..., Result]
Admin = Callable[..., dict[str, Any]]
Look = Callable[[Callable[[AsyncSession], Awaitable[Any]]], Any]


@pytest.fixture(scope="session")
def cli_database_url(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    """A migrated database that no other tests use."""
    yield from databases.lend(f"{worker_id}_cli")


@pytest.fixture(scope="session")
def empty_database_url(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    """A database without tables. Tests leave it so."""
    yield from databases.lend(f"{worker_id}_empty", migrated=False)


@pytest.fixture
def taskbeacon(cli_database_url: str) -> Taskbeacon:
    """Run a command in this process; keyword arguments are variables of its environment."""

    def run(*arguments: str, text: str | None = None, **environment: str | None) -> Result:
        variables = {"TASKBEACON_DATABASE_URL": cli_database_url, "TASKBEACON_TOKEN": None} | environment
        with kept_logging(), kept_signals():
            structlog.reset_defaults()  # as a process begins, with logs on standard output
            return CliRunner().invoke(main, arguments, input=text, env=variables)

    return run


@contextmanager
def kept_signals() -> Generator[None, None, None]:
    """Restore the signal handlers after a block in which a command of a service begins."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
def admin(taskbeacon: Taskbeacon) -> Admin:
    """Run an admin command that must succeed and return its answer, which is all it prints."""

    def run(*arguments: str, **options: Any) -> dict[str, Any]:
        result = taskbeacon("admin", *arguments, **options)
        assert result.exit_code == 0, result.stderr
        (line,) = result.stdout.splitlines()
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    return run


@pytest.fixture
def project(admin: Admin) -> int:
    return int(admin("create-project", "--name", "Test Team")["id"])


@pytest.fixture
def address() -> str:
    """An address that no user has."""
    return f"{new_hex_id()}@example.com"


@pytest.fixture
def user(admin: Admin, project: int, address: str) -> int:
    """A member of the project."""
    return int(admin("create-user", "--email", address, "--project", str(project))["id"])


@pytest.fixture
def look(cli_database_url: str) -> Look:
    """Look into the database of the command line."""

    def run(query: Callable[[AsyncSession], Awaitable[Found]]) -> Found:
        async def work(sessions: SessionFactory) -> Found:
            async with unit_of_work(sessions) as session:
                return await query(session)

        return with_sessions(Settings(database_url=cli_database_url), work)

    return run
