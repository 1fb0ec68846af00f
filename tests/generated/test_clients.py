"""Clients that other people's generators make of `/openapi.json`: strictly typed, and changing what they name alone.

Needs `make client-tools`. A default in the body of an update would be sent by these clients, and overwrite what the
caller did not mention (ADR 12).
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.models import Project
from tests.generated.tools import ClientTools
from tests.support.callers import Caller
from tests.support.web.serving import serving

_PROGRAMS = Path(__file__).parent / "programs"
_SECONDS = 110
# The generator's own runtime, the same for each description: it hands `object`s to httpx.
_KNOWN_OF_THE_GENERATOR = re.compile(r'^taskbeacon_client/client\.py:\d+: error: Argument 1 to "__a?exit__"')

_CHANGED_BY_RENAMING: dict[str, dict[str, Any]] = {
    "task": {"title": "Renamed", "title_manually_set": True},
    "environment": {"name": "Renamed"},
    "preferences": {"completed": False},
}


@pytest.fixture(scope="module")
def tools() -> ClientTools:
    tools = ClientTools.default()
    if not tools.is_current and not os.environ.get("CI"):
        pytest.skip("the generators of clients are not installed (make client-tools)")
    assert tools.is_current, "no generators of clients: run `make client-tools`"
    return tools


@pytest.fixture
def document(tmp_path: Path, shared_application: FastAPI) -> Path:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(shared_application.openapi()))
    return file


class Belongings:
    """A task, an environment and preferences, none of which has its defaults."""

    def __init__(self, client: httpx.AsyncClient, project: Project) -> None:
        self._client = client
        self._project = f"/api/projects/{project.id}"
        self._urls: dict[str, str] = {"preferences": "/api/users/@me/notification_preferences"}

    async def make(self) -> tuple[str, str]:
        """Make them, and return the ids of task and environment."""
        task = {
            "title": "Before",
            "title_manually_set": False,
            "description": "Say hello.",
            "repository": "acme/shop",
            "json_schema": {"type": "object"},
            "internal": True,
            "archived": True,
            "ci_prompt": "Repair it.",
        }
        environment = {
            "name": "Before",
            "network_access_level": "none",
            "allowed_domains": ["example.com"],
            "include_default_domains": True,
            "repositories": ["acme/shop"],
            "environment_variables": {"STAGE": "production"},
            "private": False,
        }
        preferences = {"failed": False, "cancelled": False, "awaiting": False}
        ids = []
        for name, collection, body in (
            ("task", "tasks", task),
            ("environment", "sandbox_environments", environment),
        ):
            made = await self._client.post(f"{self._project}/{collection}", json=body)
            assert made.status_code == 201, made.text
            ids.append(made.json()["id"])
            self._urls[name] = f"{self._project}/{collection}/{ids[-1]}"
        await self._client.patch(self._urls["preferences"], json=preferences)
        return ids[0], ids[1]

    async def look(self) -> dict[str, dict[str, Any]]:
        """Return them as they are shown, without when they were changed and without runs."""
        shown = {name: (await self._client.get(url)).json() for name, url in self._urls.items()}
        for each in shown.values():
            for name in ("updated_at", "last_activity_at", "latest_run"):
                each.pop(name, None)
        return shown


@pytest.fixture
async def base_url(application: FastAPI) -> AsyncGenerator[str, None]:
    async with serving(application) as url:
        yield url


async def _run(folder: Path, environment: Mapping[str, str], *command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def _must_run(folder: Path, environment: Mapping[str, str], *command: str) -> None:
    status, output = await _run(folder, environment, *command)
    assert status == 0, output


async def _assert_renames_and_nothing_else(
    tools: ClientTools,
    folder: Path,
    command: list[str],
    base_url: str,
    client: httpx.AsyncClient,
    caller: Caller,
    project: Project,
) -> None:
    belongings = Belongings(client, project)
    ids = await belongings.make()
    before = await belongings.look()
    key = caller.headers["Authorization"].removeprefix("Bearer ")

    await _must_run(folder, tools.environment, *command, base_url, key, str(project.id), *ids)

    expected = {name: shown | _CHANGED_BY_RENAMING[name] for name, shown in before.items()}
    assert await belongings.look() == expected


async def test_client_of_openapi_python_client_changes_what_it_names_alone(
    tools: ClientTools,
    document: Path,
    base_url: str,
    client: httpx.AsyncClient,
    caller: Caller,
    project: Project,
) -> None:
    folder = document.parent
    program = str(shutil.copy(_PROGRAMS / "rename.py", folder))
    await _must_run(
        folder,
        tools.environment,
        *(tools.program("openapi-python-client"), "generate", "--path", str(document)),
        *("--meta", "none", "--output-path", str(folder / "taskbeacon_client")),
    )

    # Without a configuration, also of a folder above.
    mypy = [tools.program("mypy"), "--config-file=", "--strict"]
    _, checked = await _run(folder, tools.environment, *mypy, "taskbeacon_client", program)
    errors = [line for line in checked.splitlines() if ": error:" in line]
    assert [line for line in errors if not _KNOWN_OF_THE_GENERATOR.match(line)] == []
    assert "checked" in checked, checked

    python = [tools.program("python"), program]
    await _assert_renames_and_nothing_else(tools, folder, python, base_url, client, caller, project)


async def test_client_of_openapi_typescript_changes_what_it_names_alone(
    tools: ClientTools,
    document: Path,
    base_url: str,
    client: httpx.AsyncClient,
    caller: Caller,
    project: Project,
) -> None:
    folder = document.parent
    shutil.copy(_PROGRAMS / "rename.ts", folder)
    (folder / "node_modules").symlink_to(tools.node_modules)
    (folder / "package.json").write_text('{"type": "module"}')
    generate = tools.npm_program("openapi-typescript/bin/cli.js")
    await _must_run(folder, tools.environment, *generate, str(document), "--output", "schema.d.ts")
    compiler = tools.npm_program("typescript/bin/tsc")
    options = ["--strict", "--target", "es2022", "--module", "nodenext"]
    await _must_run(folder, tools.environment, *compiler, *options, "rename.ts")

    node = [tools.node, "rename.js"]
    await _assert_renames_and_nothing_else(tools, folder, node, base_url, client, caller, project)


async def test_linter_of_descriptions_has_nothing_to_say(tools: ClientTools, document: Path) -> None:
    lint = tools.npm_program("@redocly/cli/bin/cli.js")

    _, output = await _run(
        document.parent,
        tools.environment,
        *lint,
        "lint",
        "--format=json",
        "--extends=recommended",
        # The download of a file by its id redirects.
        "--skip-rule=operation-2xx-response",
        str(document),
    )

    report = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert report["problems"] == []
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}
