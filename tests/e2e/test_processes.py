"""API and worker as processes, over loopback: the main job, and how runs are cancelled."""

from typing import Any

import httpx
import orjson
import pytest

from app.config import Settings
from app.ids import new_id
from tests.e2e.conftest import Api, Service
from tests.e2e.desk import wait_for_run
from tests.support.deployment.processes import ServiceProcess
from tests.support.marked import processes_with
from tests.support.waiting import eventually
from tests.support.web.clients import socket_client


def passwords(settings: Settings) -> list[str]:
    """Return the values of the settings that must never be logged."""
    urls = (httpx.URL(settings.database_url), httpx.URL(settings.redis_url))
    assert settings.s3_secret_access_key is not None
    return [*(url.password for url in urls), settings.s3_secret_access_key.get_secret_value()]


async def start_run(client: httpx.AsyncClient, description: str, **task: Any) -> str:
    created = await client.post("", json={"description": description, **task})
    assert created.status_code == 201, created.text
    started = await client.post(f"/{created.json()['id']}/run/", headers={"Content-Type": "application/json"})
    assert started.status_code == 200, started.text
    return str(created.json()["id"])


async def test_main_job_from_task_to_pushed_branch(
    client: httpx.AsyncClient, api: Api, worker: ServiceProcess, service: Service, settings: Settings
) -> None:
    service.repositories.create("acme/app", {"README.md": "Acme\n"})

    task_id = await start_run(
        client, "```file path=docs/hello.md\nHello\n```\n```sh\necho worked\n```", repository="Acme/App"
    )
    run = await wait_for_run(client, task_id, "completed", "failed")

    assert run["status"] == "completed", run["error_message"]
    pushed = f"{run['output']['head_branch']}:docs/hello.md"
    assert service.repositories.show("acme/app", pushed) == "Hello\n"
    async with socket_client() as outside:
        log = (await outside.get(run["log_url"])).raise_for_status()
    assert "worked" in log.text
    assert all(orjson.loads(line)["type"] == "notification" for line in log.text.splitlines())
    logged = worker.log.read_text() + api.process.log.read_text()
    assert run["id"] in logged
    assert "alembic" not in logged, "an operator has no use for the names of its plugins"
    for secret in (client.headers["Authorization"].removeprefix("Bearer "), *passwords(settings)):
        assert secret not in logged


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PATCH", "", {"status": "cancelled"}), ("POST", "/cancel", {"reason": "Enough"})],
)
async def test_run_that_is_cancelled_over_http_ends_its_agent_and_keeps_what_it_left(
    client: httpx.AsyncClient, worker: ServiceProcess, method: str, path: str, body: dict[str, str]
) -> None:
    """Contract 6.4, 13.2."""
    assert worker.is_running
    mark = f"cancelled-{new_id()}"
    steps = f"```file path=half.txt\nhalf done\n```\n```bash\ntrap '' TERM; (exec -a {mark} sleep 86400) & wait\n```"
    task_id = await start_run(client, steps)

    await eventually(lambda: processes_with(f"{mark}\0"))
    run_url = f"/{task_id}/runs/{(await client.get(f'/{task_id}')).json()['latest_run']['id']}"

    cancelled = await client.request(method, run_url + path, json=body)

    assert cancelled.json()["status"] == "cancelled"
    await eventually(lambda: not processes_with(mark))

    async def brought() -> bool:
        return bool((await client.get(run_url)).json()["artifacts"])

    await eventually(brought)
    late = await client.patch(run_url, json={"status": "completed"})
    assert (late.status_code, late.json()) == (400, {"error": "Run is already cancelled"})
    run = (await client.get(run_url)).json()
    assert (run["status"], run["completed_at"]) == ("cancelled", cancelled.json()["completed_at"])
    assert run["error_message"] == body.get("reason")
    assert [artifact["name"] for artifact in run["artifacts"]] == ["changes.patch"]
    assert "half.txt" in (await client.get(f"{run_url}/logs")).text
