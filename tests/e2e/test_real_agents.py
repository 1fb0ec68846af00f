"""Claude and Codex through API and worker processes, against a scripted model on the loopback (`make test-agents`)."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from tests.e2e.desk import wait_for_run
from tests.fixtures.worker import Repositories
from tests.support.deployment.processes import ServiceProcess, service_process
from tests.support.stand_ins.model_server import ModelServer, Say, Shell, Use, Write, model_server
from tests.support.stand_ins.real_agents import agents_folder

pytestmark = [pytest.mark.real_agents, pytest.mark.usefixtures("no_shared_worker")]

JSON = dict[str, Any]

MODELS = {"claude": "claude-sonnet-4-6", "codex": "gpt-5.5"}
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-test-sauerkraut", "OPENAI_API_KEY": "sk-test-sauerkraut"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A member of a project, whose worker has real agents and a scripted model."""

    client: httpx.AsyncClient
    model: ModelServer
    worker: ServiceProcess

    async def start(self, adapter: str, **task: Any) -> JSON:
        """Have an agent work on a task; return its run as it began."""
        made = await self.client.post(
            "", json={"description": "Add a line.", "repository": "acme/app"} | task
        )
        assert made.status_code == 201, made.text
        asked = {"runtime_adapter": adapter, "model": MODELS[adapter]}
        started = await self.client.post(f"/{made.json()['id']}/run/", json=asked)
        assert started.status_code == 200, started.text
        run: JSON = started.json()["latest_run"]
        return run

    async def ended(self, run: JSON) -> JSON:
        return await wait_for_run(self.client, run["task"], "completed", "failed")


@pytest.fixture
async def desk(
    client: httpx.AsyncClient,
    repositories: Repositories,
    settings: Settings,
    tmp_path: Path,
) -> AsyncGenerator[Desk, None]:
    repositories.create("acme/app", {"README.md": "Acme\n"})
    async with model_server() as model:
        with service_process(
            "worker",
            settings=settings,
            log=tmp_path / "worker.log",
            TASKBEACON_HOME=str(tmp_path / "home"),
            TASKBEACON_AGENTS=str(agents_folder()),
            TASKBEACON_GIT_BASE_URL=repositories.base_url,
            ANTHROPIC_BASE_URL=model.url,
            OPENAI_BASE_URL=f"{model.url}/v1",
            **KEYS,
        ) as worker:
            yield Desk(client, model, worker)
            assert await worker.stop() == 0


@pytest.mark.parametrize("adapter", MODELS)
async def test_run_by_a_real_agent_ends_in_a_pushed_branch(
    desk: Desk, repositories: Repositories, adapter: str
) -> None:
    desk.model.play(
        Shell("echo more >> README.md", before="I change it."),
        Write("new.txt", "hello\n"),
        Say("Done."),
    )
    run = await desk.start(adapter)
    path = f"/{run['task']}/runs/{run['id']}/stream/"
    async with desk.client.stream("GET", path, timeout=60) as stream:
        received = (await stream.aread()).decode()
    run = await desk.ended(run)

    assert run["status"] == "completed", run["error_message"]
    branch = run["output"]["head_branch"]
    assert repositories.show("acme/app", f"{branch}:README.md") == "Acme\nmore\n"
    assert repositories.show("acme/app", f"{branch}:new.txt") == "hello\n"
    assert run["output"]["summary"] == "Done."
    assert run["state"]["usage"]["total_tokens"] == 3300
    for words in ("I change it.", '"status":"completed"', "Network: model-only"):
        assert words in received
    for key in KEYS.values():
        assert key not in received + desk.worker.log.read_text()


@pytest.mark.parametrize("adapter", MODELS)
async def test_real_agent_corrects_what_its_checks_refute_in_the_same_conversation(
    desk: Desk, repositories: Repositories, adapter: str
) -> None:
    """Acceptance 15 of verification (test_acceptance_list.py), by agents that people use."""
    claim = {"statement": "It is right.", "kind": "bug_fixed", "check": "right"}
    reports = [Use("mcp__taskbeacon__report_result", {"claims": [claim]})] if adapter == "claude" else []
    desk.model.play(
        Write("new.txt", "wrong\n"),
        Say("Done."),
        Shell("echo right >new.txt"),
        *reports,
        Say("Now it is."),
    )
    check = {"id": "right", "run": ["grep", "right", "new.txt"], "gate": "strict", "retries": 0}
    run = await desk.ended(await desk.start(adapter, acceptance={"checks": [check]}))

    assert run["status"] == "completed", run["error_message"]
    shown = run["verification"]
    assert (shown["verdict"], shown["attempts"], shown["stopped"]) == ("verified", 2, None)
    assert repositories.show("acme/app", f"{run['output']['head_branch']}:new.txt") == "right\n"
    assert run["output"]["summary"] == "Now it is."
    asked = desk.model.turns[2].text
    for words in ("Add a line.", "The checks of this run do not pass (attempt 1 of 3).", "Check right: grep"):
        assert words in asked
    assert [each["judgement"] for each in shown["claims"]] == ["verified"] * len(reports)
