"""The job that scans a repository for the checks that it suggests, and its worker."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from arq.constants import in_progress_key_prefix

from app.clients.job_queue import JobQueue
from app.config import Settings
from app.db import create_engine, create_session_factory
from app.outages import DatabaseUnavailable
from app.services.enqueueing import enqueue_scan
from app.services.retrying.policies import DATABASE
from app.worker.job_table import create_checks_worker, create_scans_worker
from app.worker.jobs.scan_repository import scan_repository
from app.worker.main import working
from app.worker.worker_context import WorkerContext
from tests.fixtures.worker import Repositories, Workshop
from tests.support.clock import let_time_pass
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually


@pytest.fixture
async def arq_queue(workshop: Workshop) -> AsyncGenerator[JobQueue, None]:
    queue = JobQueue(workshop.context.process.settings.redis_url)
    yield queue
    await queue.aclose()


async def kept_of(workshop: Workshop, repository: str) -> Any:
    kept = await workshop.context.process.redis.get(f"taskbeacon:scan:{workshop.project.id}:{repository}")
    return kept and json.loads(kept)


async def scan(workshop: Workshop, context: WorkerContext, repository: str) -> dict[str, Any]:
    await scan_repository(context.as_arq_context(), project_id=workshop.project.id, repository=repository)
    kept: dict[str, Any] = await kept_of(workshop, repository)
    return kept


async def test_job_keeps_what_the_default_branch_suggests(
    workshop: Workshop, repositories: Repositories
) -> None:
    package = json.dumps({"scripts": {"test": "vitest"}})
    repositories.create("acme/shop", {"README.md": "x", "package.json": package})

    found = await scan(workshop, workshop.context, "acme/shop")
    assert len(found["commit"]) == 40
    assert [each["check"]["id"] for each in found["found"]] == ["npm-test"]
    missing = await scan(workshop, workshop.context, "acme/missing")
    assert "does not exist" in missing["error"]
    assert await workshop.left_behind() == []


async def test_scan_that_runs_out_of_time_is_a_failure(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: nothing was kept, so the client was told for ever that the scan goes on."""
    repositories.create("acme/shop", {"README.md": "x"})

    kept = await scan(workshop, workshop.with_times(scan=0).context, "acme/shop")

    assert kept == {"error": "The scan took over 0 s."}


async def test_scan_that_fails_unexpectedly_is_a_failure(
    workshop: Workshop, repositories: Repositories, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: nothing was kept, so each question of the client began the same scan for ever."""
    repositories.create("acme/shop", {"README.md": "x"})
    no_folder = tmp_path / "file"
    no_folder.touch()
    settings = workshop.context.process.settings.model_copy(update={"workspaces": no_folder})

    kept = await scan(workshop, workshop.with_process(settings=settings).context, "acme/shop")

    assert kept["error"].startswith("The scan failed unexpectedly.")
    assert "scan.unexpected_error" in caplog.text


async def test_outage_of_the_database_is_no_result_of_a_scan(
    workshop: Workshop, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: it was kept and logged as an unexpected failure of the scan."""
    async with interruptible(settings.database_url) as between:
        await between.refuse()
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        cut_off = workshop.with_process(sessions=create_session_factory(engine))
        job = asyncio.create_task(scan(cut_off, cut_off.context, "acme/shop"))
        await eventually(lambda: DATABASE.event in caplog.text)
        let_time_pass(monkeypatch, seconds=DATABASE.within)
        with pytest.raises(DatabaseUnavailable):
            await job
        await engine.dispose()

    assert await kept_of(workshop, "acme/shop") is None
    assert "scan.unexpected_error" not in caplog.text


async def test_scan_does_not_wait_for_checks(
    workshop: Workshop, repositories: Repositories, arq_queue: JobQueue
) -> None:
    """Regression: it waited for the slot that checks of hours held."""
    repositories.create("acme/shop", {"README.md": "x"})
    await enqueue_scan(arq_queue, workshop.project.id, "acme/shop")

    checks = create_checks_worker(workshop.context, burst=True)
    await checks.async_run()
    await checks.close()
    assert await kept_of(workshop, "acme/shop") is None
    async with working("scans", create_scans_worker(workshop.context)):
        await eventually(lambda: kept_of(workshop, "acme/shop"))


async def test_no_other_worker_repeats_a_scan_within_its_time_limit(
    workshop: Workshop, arq_queue: JobQueue
) -> None:
    """Regression: after a minute each further worker began the same scan."""
    redis, project_id = workshop.context.process.redis, workshop.project.id
    async with interruptible("http://127.0.0.1:1") as host:
        await host.hang()
        settings = workshop.context.process.settings.model_copy(update={"git_base_url": host.url})
        context = workshop.with_process(settings=settings).context
        await enqueue_scan(arq_queue, project_id, "acme/shop")
        key = f"{in_progress_key_prefix}scan_repository:{project_id}:acme/shop"
        async with working("scans", create_scans_worker(context)):
            await eventually(lambda: redis.exists(key))
            assert await redis.ttl(key) > context.run_times.scan
