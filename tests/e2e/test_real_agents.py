"""Claude and Codex through API and worker processes, against a scripted model on the loopback (`make test-agents`)."""

from pathlib import Path

import httpx
import pytest

from app.config import Settings
from tests.e2e.test_processes import wait_for_run
from tests.fixtures.worker import Repositories
from tests.support.deployment.processes import service_process
from tests.support.stand_ins.model_server import Say, Shell, Write, model_server
from tests.support.stand_ins.real_agents import agents_folder

pytestmark = pytest.mark.real_agents

MODELS = {"claude": "claude-sonnet-4-6", "codex": "gpt-5.5"}
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-test-sauerkraut", "OPENAI_API_KEY": "sk-test-sauerkraut"}


async def test_run_by_a_real_agent_ends_in_a_pushed_branch(
    client: httpx.AsyncClient,
    repositories: Repositories,
    settings: Settings,
    tmp_path: Path,
) -> None:
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
            for adapter, name in MODELS.items():
                model.play(
                    Shell("echo more >> README.md", before="I change it."),
                    Write("new.txt", "hello\n"),
                    Say("Done."),
                )
                task = await client.post("", json={"description": "Add a line.", "repository": "acme/app"})
                task_id = task.json()["id"]
                started = await client.post(
                    f"/{task_id}/run/", json={"runtime_adapter": adapter, "model": name}
                )
                assert started.status_code == 200, started.text
                run_id = started.json()["latest_run"]["id"]
                async with client.stream("GET", f"/{task_id}/runs/{run_id}/stream/", timeout=60) as stream:
                    received = (await stream.aread()).decode()
                run = await wait_for_run(client, task_id, "completed", "failed")

                assert run["status"] == "completed", run["error_message"]
                branch = run["output"]["head_branch"]
                assert repositories.show("acme/app", f"{branch}:README.md") == "Acme\nmore\n"
                assert repositories.show("acme/app", f"{branch}:new.txt") == "hello\n"
                assert run["output"]["summary"] == "Done."
                assert run["state"]["usage"]["total_tokens"] == 3300
                for words in ("I change it.", '"status":"completed"', "Network: model-only"):
                    assert words in received
                for key in KEYS.values():
                    assert key not in received + worker.log.read_text()
            assert await worker.stop() == 0
