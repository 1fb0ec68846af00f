"""API and worker as processes, over loopback: the main job, and how both stop."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from tests.fixtures.worker import Repositories
from tests.support.callers import CallerKind, make_caller
from tests.support.factories import make_project, make_user
from tests.support.processes import ServiceProcess, free_port, service_process, wait_until_ready
from tests.support.waiting import eventually


@pytest.fixture
async def api(
    settings: Settings, committed_sessions: SessionFactory, tmp_path: Path
) -> AsyncGenerator[tuple[httpx.AsyncClient, ServiceProcess], None]:
    """An API process and a client of a project's member; paths are relative to the project's tasks."""
    async with unit_of_work(committed_sessions) as session:
        project = await make_project(session)
        owner = await make_user(session, projects=[project])
        caller = await make_caller(session, CallerKind.OWNER, project=project, owner=owner)
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    with service_process(f"serve --port {port}", settings=settings, log=tmp_path / "api.log") as process:
        async with httpx.AsyncClient(base_url=base_url) as anonymous:
            await wait_until_ready(anonymous, process)
        async with httpx.AsyncClient(
            base_url=f"{base_url}/api/projects/{project.id}/tasks", headers=caller.headers
        ) as client:
            yield client, process


@pytest.fixture
def worker(settings: Settings, repositories: Repositories, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A worker process that gives its runs one second to finish."""
    with service_process(
        "worker",
        settings=settings,
        log=tmp_path / "worker.log",
        TASKBEACON_HOME=str(tmp_path / "home"),
        TASKBEACON_GIT_BASE_URL=repositories.base_url,
        TASKBEACON_WORKER_DRAIN_SECONDS="1",
    ) as process:
        yield process


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
