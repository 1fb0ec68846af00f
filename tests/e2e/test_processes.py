"""API and worker as processes, over loopback: the main job, and how both stop."""

from pathlib import Path
from typing import Any

import httpx
import orjson

from app.config import Settings
from tests.fixtures.worker import Repositories
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually


def passwords(settings: Settings) -> list[str]:
    """Return what must never be logged of the settings."""
    urls = (httpx.URL(settings.database_url), httpx.URL(settings.redis_url))
    assert settings.s3_secret_access_key is not None
    return [*(url.password for url in urls), settings.s3_secret_access_key.get_secret_value()]


async def start_run(client: httpx.AsyncClient, description: str, **task: Any) -> str:
    created = await client.post("", json={"description": description, **task})
    assert created.status_code == 201, created.text
    started = await client.post(f"/{created.json()['id']}/run/", headers={"Content-Type": "application/json"})
    assert started.status_code == 200, started.text
    return str(created.json()["id"])


async def wait_for_run(client: httpx.AsyncClient, task_id: str, *statuses: str) -> dict[str, Any]:
    """Return the task's latest run once its status is one of `statuses`."""
    run: dict[str, Any] = {}

    async def reached() -> bool:
        nonlocal run
        run = (await client.get(f"/{task_id}")).json()["latest_run"]
        return run["status"] in statuses

    await eventually(reached, within_seconds=40)
    return run


async def test_main_job_from_task_to_pushed_branch(
    api: tuple[httpx.AsyncClient, ServiceProcess],
    worker: ServiceProcess,
    repositories: Repositories,
    settings: Settings,
) -> None:
    client, server = api
    repositories.create("acme/app", {"README.md": "Acme\n"})

    task_id = await start_run(
        client, "```file path=docs/hello.md\nHello\n```\n```sh\necho worked\n```", repository="Acme/App"
    )
    run = await wait_for_run(client, task_id, "completed", "failed")

    assert run["status"] == "completed", run["error_message"]
    assert repositories.show("acme/app", f"{run['output']['head_branch']}:docs/hello.md") == "Hello\n"
    async with httpx.AsyncClient() as outside:
        log = (await outside.get(run["log_url"])).raise_for_status()
    assert "worked" in log.text
    assert all(orjson.loads(line)["type"] == "notification" for line in log.text.splitlines())
    assert (worker.stop(), server.stop()) == (0, 0)
    logged = worker.log.read_text() + server.log.read_text()
    assert run["id"] in logged
    for secret in (client.headers["Authorization"].removeprefix("Bearer "), *passwords(settings)):
        assert secret not in logged


async def test_stopping_worker_gives_its_run_back_and_ends_the_agent(
    api: tuple[httpx.AsyncClient, ServiceProcess], worker: ServiceProcess, tmp_path: Path
) -> None:
    client, _ = api
    mark = f"mark-{tmp_path.name}"
    task_id = await start_run(client, f"```bash\nexec -a {mark} sleep 300\n```")
    await wait_for_run(client, task_id, "in_progress")

    async def agent_works() -> bool:
        return _is_running(mark)

    await eventually(agent_works)

    assert worker.stop() == 0

    run = await wait_for_run(client, task_id, "queued")
    assert "agent_started_at" not in run["state"]
    assert not _is_running(mark)


def _is_running(mark: str) -> bool:
    return any(_command_line(process).startswith(mark.encode()) for process in Path("/proc").glob("[0-9]*"))


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
