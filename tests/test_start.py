"""What processes load before they are ready: modules that are dear come with the first need for them."""

import os
import subprocess
import sys

import pytest

# Each of these takes longer to load than the process that must not have it needs for all its own modules.
_MODELS = ("pydantic", "acp", "structlog", "sqlalchemy", "httpx")

# Together these take as long as all else that a small program of ours loads.
_SMALL = (*_MODELS, "asyncio", "dataclasses", "tempfile")

# What an API needs for few of its requests, or a worker alone.
_SELDOM = (
    "aioboto3",
    "aiohttp",
    "pywebpush",
    "requests",
    "jsonschema",
    "alembic",
    "acp",
    "app.agents.execution",
    "app.devstack.stack",
    "app.worker",
)


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("app.agents.runbook.__main__", _SMALL),
        ("app.agents.launcher", _SMALL),
        ("app.agents.entry", _SMALL),
        ("app.agents.schema_check", _MODELS),
        ("app.agents.lfs.filter", _SMALL),
        ("app.cli.application", _SELDOM),
        # The process that `--workers` are children of serves nothing.
        ("app.cli.serve", (*_SELDOM, "app.main")),
        # What is loaded before this is looked through for garbage.
        ("app.cli.loading", (*_MODELS, "app.config", "fastapi", "uvicorn")),
        ("app.cli", (*_MODELS, "app.config", "app.devstack")),
    ],
)
def test_program_does_not_load(module: str, unneeded: tuple[str, ...]) -> None:
    assert _loaded_by(module, unneeded) == set()


def _loaded_by(module: str, names: tuple[str, ...]) -> set[str]:
    """Return which of the modules are there once a fresh interpreter has imported `module`."""
    question = f"import sys, {module}\nprint(*(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_processes_load_without_looking_for_garbage_and_never_look_through_it_again() -> None:
    program = """
import gc
from app.cli import main
from app.cli.loading import load_api
looked = []
gc.callbacks.append(lambda phase, _: looked.append(phase))
commands = [main.get_command(None, name) for name in ("serve", "worker")]
app = load_api()
print(looked, gc.get_freeze_count() > 100 * len(gc.get_objects()), gc.isenabled())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TASKBEACON_DEVELOPMENT": "true"},
    )
    assert done.stdout == "[] True True\n"
