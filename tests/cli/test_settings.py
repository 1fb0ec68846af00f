"""Admin commands find the running development stack by themselves, and only where the environment names no database."""

import os
from collections.abc import Generator
from pathlib import Path

import click
import pytest

from app.cli.settings import admin_settings
from app.devstack.home import Home
from tests.support.logs import kept_logging

STACK = {
    "TASKBEACON_DEVELOPMENT": "true",
    "TASKBEACON_DATABASE_URL": "postgresql://stack@127.0.0.1:1/stack",
    "TASKBEACON_SECRET_KEYS": "the-secret-of-the-stack-0123456789",
    "TASKBEACON_THROTTLE_PER_MINUTE": "0",
    "TASKBEACON_UNKNOWN": "ignored",
}


@pytest.fixture(autouse=True)
def kept_logs() -> Generator[None, None, None]:
    with kept_logging():
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home folder that the environment names, in an environment that names no database."""
    monkeypatch.setenv("TASKBEACON_HOME", str(tmp_path))
    monkeypatch.delenv("TASKBEACON_DATABASE_URL", raising=False)
    return Home(tmp_path)


@pytest.fixture
def running_stack(home: Home) -> Generator[None, None, None]:
    """A stack in that folder, as far as others see: this process holds its lock and has announced it."""
    lock = home.acquire()
    home.announce({}, STACK)
    yield
    home.forget_running()
    os.close(lock)


@pytest.mark.usefixtures("running_stack")
def test_running_stack_is_found() -> None:
    settings = admin_settings()

    assert settings.database_url == "postgresql+asyncpg://stack@127.0.0.1:1/stack"
    assert settings.secret_keys[0].get_secret_value() == STACK["TASKBEACON_SECRET_KEYS"]
    assert settings.throttle_per_minute == 0


@pytest.mark.usefixtures("running_stack")
def test_stack_outranks_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKBEACON_SECRET_KEYS", "a-secret-that-the-stack-cannot-read-0")

    assert admin_settings().secret_keys[0].get_secret_value() == STACK["TASKBEACON_SECRET_KEYS"]


@pytest.mark.usefixtures("running_stack")
def test_database_of_the_environment_outranks_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKBEACON_DATABASE_URL", "postgresql://mine@127.0.0.1:1/mine")

    assert admin_settings().database_url == "postgresql+asyncpg://mine@127.0.0.1:1/mine"


def test_announcement_of_a_dead_stack_is_ignored(home: Home) -> None:
    home.announce({}, STACK)

    assert admin_settings().database_url.endswith("@localhost:5432/taskbeacon")


def test_forgotten_stack_is_named_and_nothing_of_production(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended with a refusal of the development secret, of which nobody had spoken."""
    monkeypatch.delenv("TASKBEACON_DEVELOPMENT")

    with pytest.raises(click.ClickException) as refused:
        admin_settings()

    assert refused.value.message == (
        f"no development stack runs in {home.root}: start `make run` in another terminal, "
        "or go to where it was started, or set TASKBEACON_DATABASE_URL"
    )
    monkeypatch.setenv("TASKBEACON_SECRET_KEYS", "s" * 32)
    monkeypatch.setenv("TASKBEACON_REDIS_URL", "redis://:taskbeacon@redis.example.com/0")
    with pytest.raises(click.ClickException, match="TASKBEACON_REDIS_URL: the development password"):
        admin_settings()
