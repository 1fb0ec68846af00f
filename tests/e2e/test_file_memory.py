"""Files go through an API process or past it, never into it: fifty downloads at once, and a large upload (contract 8)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from tests.support.callers import bearer
from tests.support.factories import make_key, make_project, make_run, make_task, make_user
from tests.support.processes import ServiceProcess, free_port, service_process, wait_until_ready
from tests.support.uploads import upload_and_finalize

MEBIBYTE = 2**20
CONTENT = bytes(range(256)) * (30 * MEBIBYTE // 256)
DOWNLOADS = 50
ALLOWED_EXTRA = 100 * MEBIBYTE


@pytest.fixture
async def run_url(
    settings: Settings, committed_sessions: SessionFactory, tmp_path: Path
) -> AsyncGenerator[tuple[httpx.AsyncClient, str, ServiceProcess], None]:
    """An API process, a client of it, and the URL of a run's files."""
    async with unit_of_work(committed_sessions) as session:
        project = await make_project(session)
        owner = await make_user(session, projects=[project])
        run = await make_run(session, task=await make_task(session, project=project, created_by=owner))
        headers = bearer(await make_key(session, user=owner))
    port = free_port()
    with service_process(f"serve --port {port}", settings=settings, log=tmp_path / "api.log") as process:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers=headers,
            timeout=60,
            limits=httpx.Limits(max_connections=DOWNLOADS + 1),
        ) as client:
            await wait_until_ready(client, process)
            yield client, f"/api/projects/{project.id}/tasks/{run.task_id}/runs/{run.id}/artifacts", process


def peak_of(process: ServiceProcess) -> int:
    """Return the most memory that the process has ever held, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


async def test_thirty_megabytes_never_sit_in_the_memory_of_the_api(
    run_url: tuple[httpx.AsyncClient, str, ServiceProcess],
) -> None:
    client, url, process = run_url
    small = await upload_and_finalize(client, url, b"hello", name="small.txt")
    await client.get(f"{url}/download", params={"storage_path": small["storage_path"]})
    before = peak_of(process)

    entry = await upload_and_finalize(client, url, CONTENT, name="large.bin")
    assert entry["size"] == len(CONTENT)
    path = {"storage_path": entry["storage_path"]}
    assert (await client.get(f"{url}/download", params=path)).content == CONTENT
    assert peak_of(process) - before < len(CONTENT) / 2

    async with AsyncExitStack() as stack:

        async def begin() -> None:
            """Read the beginning and no more, so that everything between here and the store fills up."""
            response = await stack.enter_async_context(client.stream("GET", f"{url}/download", params=path))
            assert response.status_code == 200
            assert await anext(response.aiter_bytes(1024)) == CONTENT[:1024]

        await asyncio.gather(*(begin() for _ in range(DOWNLOADS)))
        # Small calls have connections of their own.
        assert (await client.get("/readyz")).status_code == 200
        assert peak_of(process) - before < ALLOWED_EXTRA
