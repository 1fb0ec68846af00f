"""The service's processes, and a client of a project's member."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from tests.fixtures.worker import Repositories
from tests.support.callers import CallerKind, make_caller
from tests.support.factories import make_project, make_user
from tests.support.processes import ServiceProcess, free_port, service_process, wait_until_ready


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
