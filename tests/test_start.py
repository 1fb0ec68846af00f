"""Modules that processes load before they are ready: slow ones are imported at the first need for them."""

import json
import os
import subprocess
import sys

import pytest

# Each of these takes longer to load than the process that must not have it needs for all its own modules.
_MODELS = frozenset({"pydantic", "acp", "structlog", "sqlalchemy", "httpx"})
# Together these take as long as all else that a small program of ours loads.
_SMALL = _MODELS | {"asyncio", "dataclasses", "tempfile"}
# What an API needs for few of its requests, or a worker alone.
_SELDOM = frozenset(
    {
        "aioboto3",
        "aiohttp",
        "pywebpush",
        "requests",
        "jsonschema",
        "acp",
        "app.agents.execution.run_steps",
        "app.devstack.stack",
        "app.worker",
    }
)
# What sends spans. FastAPI and `acp` themselves load the interface of OpenTelemetry, which does nothing.
_TRACING = {"app.tracing.otlp", "opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf"}
# How a service loads, step by step in one interpreter, and what must not be there after each step.
_STEPS = {
    "from app.cli import main": _MODELS | {"app.config", "app.devstack"},
    # What is loaded before this is looked through for garbage.
    "from app.cli.serving.loading import load_api": _MODELS | {"app.config", "fastapi", "uvicorn"},
    "main.get_command(None, 'admin').get_command(None, 'create-key')": _SELDOM | {"alembic", "app.main"},
    # The process that `--workers` are children of serves nothing.
    "main.get_command(None, 'serve')": _SELDOM | {"app.main"},
    "app = load_api()": _SELDOM,
    "main.get_command(None, 'worker')": {"aioboto3", "requests", "jsonschema", "app.devstack.stack"},
    "from app.tracing.standard_variables import tracing; tracing('taskbeacon-worker').__enter__()": _TRACING,
}
_TAKE_STEPS = """
import gc, json, sys
steps, names = json.loads(sys.argv[1])
collections = []
gc.callbacks.append(lambda phase, _: collections.append(phase))
found = []
for step in steps:
    before = len(collections)
    exec(step)
    found.append(([name for name in names if name in sys.modules], len(collections) - before))
frozen = gc.get_freeze_count() > 100 * len(gc.get_objects())
print(json.dumps({"found": found, "frozen": frozen, "enabled": gc.isenabled()}))
"""


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("app.agents.runbook.__main__", _SMALL),
        ("app.agents.sandbox.launcher", _SMALL),
        ("app.agents.sandbox.entry", _SMALL),
        ("app.agents.outputs.schema_check", _MODELS),
    ],
)
def test_program_does_not_load(module: str, unneeded: frozenset[str]) -> None:
    question = f"import sys, {module}\nprint(*({set(unneeded)!r} & sys.modules.keys()))"
    assert _run(question) == "\n"


def test_service_loads_nothing_expensive_looks_for_no_garbage_and_never_looks_through_it_again() -> None:
    names = sorted(frozenset().union(*_STEPS.values()))
    printed = json.loads(_run(_TAKE_STEPS, json.dumps([list(_STEPS), names]), TASKBEACON_DEVELOPMENT="true"))

    loaded = {step: set(there) for step, (there, _) in zip(_STEPS, printed["found"], strict=True)}
    assert {step: there & _STEPS[step] for step, there in loaded.items()} == {step: set() for step in _STEPS}
    # What was asked for is there, so that the names above are those of modules.
    assert _SELDOM & loaded["main.get_command(None, 'worker')"] >= {
        "acp",
        "app.agents.execution.run_steps",
        "app.worker",
    }
    assert [count for _, count in printed["found"][2:]] == [0] * (len(_STEPS) - 2)
    assert printed["frozen"]
    assert printed["enabled"]


def _run(program: str, *arguments: str, **environment: str) -> str:
    """Return the output of a fresh interpreter, which loads nothing to measure coverage."""
    inherited = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=inherited | environment,
    )
    return done.stdout
