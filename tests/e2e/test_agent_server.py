"""The reference's own agent-server (npm `@posthog/agent`) performs a run against this API and a scripted model.

Run by `make test-agents` after `npm install --prefix .taskbeacon/agent-server --ignore-scripts @posthog/agent` (1 GB),
or below `TASKBEACON_HOME` where that is set.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.conftest import Api
from tests.fixtures.worker import Repositories
from tests.generated.tools import ClientTools
from tests.support.deployment.home import developers_home
from tests.support.deployment.processes import free_port
from tests.support.keys import rsa_key
from tests.support.stand_ins.model_server import Say, Shell, model_server
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client
from tests.support.web.streams import following

pytestmark = [pytest.mark.real_agents, pytest.mark.timeout(300)]

JSON = dict[str, Any]
_FOLDER = developers_home() / "agent-server"
_PROGRAM = _FOLDER / "node_modules" / "@posthog" / "agent" / "dist" / "server" / "bin.js"
# What it asks for and this service does not have; it takes a 404 for "not offered" (docs/clients.md).
_NOT_OFFERED = ("/signals/reports", "/peers", "/analysis-activity", "/task_session")


@pytest.fixture(scope="module")
def agent_server() -> Path:
    if not _PROGRAM.is_file():
        pytest.skip(f"there is no @posthog/agent in {_FOLDER}")
    return _PROGRAM


@pytest.fixture(scope="module")
def node() -> str:
    """Node as the agent-server needs it, which is newer than many machines have."""
    tools = ClientTools.default()
    if not tools.is_current:
        pytest.skip("there is no Node of ours (make client-tools)")
    return tools.node


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repositories = Repositories(tmp_path / "origin")
    repositories.create("acme/app", {"README.md": "Acme\n"})
    folder = tmp_path / "app"
    subprocess.run(["git", "clone", "--quiet", f"{repositories.base_url}/acme/app", folder], check=True)
    return folder


@asynccontextmanager
async def _running(
    command: list[str], folder: Path, environment: dict[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "agent-server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                await process.wait()


async def test_turn_of_the_agent_server_without_a_refused_call_and_without_an_event_twice(
    agent_server: Path,
    node: str,
    api: Api,
    client: httpx.AsyncClient,
    key: str,
    repository: Path,
    tmp_path: Path,
) -> None:
    task = (await client.post("", json={"description": "Say hello.", "repository": "acme/app"})).json()
    run_id = (await client.post(f"/{task['id']}/runs")).json()["id"]
    run_url = f"/{task['id']}/runs/{run_id}"
    await client.patch(run_url, json={"status": "in_progress"})
    token = (await client.get(f"{run_url}/connection_token")).json()["token"]
    async with socket_client(base_url=api.base_url, headers={"Authorization": f"Bearer {key}"}) as root:
        project = (await root.get("/api/users/@me")).json()["team"]["id"]
    async with model_server() as model:
        model.play(Shell("cat README.md", before="I look."), Say("Hello."))
        environment = {
            "PATH": f"{Path(node).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "JWT_PUBLIC_KEY": _public_key(),
            "POSTHOG_API_URL": api.base_url,
            "POSTHOG_PERSONAL_API_KEY": key,
            "POSTHOG_PROJECT_ID": str(project),
            "POSTHOG_TASK_RUN_EVENT_INGEST_TOKEN": token,
            "POSTHOG_CODE_RUNTIME_ADAPTER": "claude",
            "POSTHOG_CODE_MODEL": "claude-sonnet-4-6",
            "LLM_GATEWAY_URL": model.url,
            "IS_SANDBOX": "1",
        }
        options = ["--port", str(free_port()), "--mode", "background", "--repositoryPath", str(repository)]
        options += ["--taskId", task["id"], "--runId", run_id, "--createPr", "false"]
        async with _running([node, str(agent_server), *options], tmp_path, environment):

            async def turn_is_over() -> bool:
                entries = (await client.get(f"{run_url}/session_logs?limit=5000")).json()
                return any("turn_complete" in _method(entry) for entry in entries)

            await eventually(turn_is_over, within_seconds=240)

    entries = (await client.get(f"{run_url}/session_logs?limit=5000")).json()
    ids = Counter(entry["event_id"] for entry in entries if "event_id" in entry)
    assert ids
    assert [id_ for id_, count in ids.items() if count > 1] == []
    assert any("Hello." in json.dumps(entry) for entry in entries)
    run = (await client.patch(run_url, json={"status": "completed"})).json()
    assert run["state"]["usage"]["total_tokens"] > 0
    async with following(client, run_url) as stream:
        received = [each.data for each in await stream.rest()]
    published = Counter(each["event_id"] for each in received if "event_id" in each)
    assert [id_ for id_, count in published.items() if count > 1] == []
    assert sum(each.get("type") == "_posthog/stream_complete" for each in received) == 1
    refused = [
        request
        for request in _requests(api.process.log)
        if request["status"] >= 400 and not any(part in request["path"] for part in _NOT_OFFERED)
    ]
    assert refused == []


def _public_key() -> str:
    public = rsa_key().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _method(entry: JSON) -> str:
    return str(entry.get("notification", {}).get("method", ""))


def _requests(log: Path) -> list[JSON]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if "status" in line and "path" in line]
