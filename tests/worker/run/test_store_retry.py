"""The object store away at the end of a run: its result is waited for, and what is lost in the end is said."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from app.clients.storage.object_store import ObjectInfo, ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.config import Settings
from app.enums import RunStatus
from app.models import Run
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Workshop
from tests.support.database.faults import refusing_some
from tests.support.stand_ins.outage import Interruptible, interruptible
from tests.support.waiting import eventually
from tests.worker.pilot import listening
from tests.worker.private_host import TOKEN, Host
from tests.worker.run.test_lease_and_handback import cancel

WORK = """
```file path=a.txt
one
```
```sh
printf hi > .taskbeacon/artifacts/report.txt
```
```say
last words
```
"""
LOST = {"files": ["report.txt", "changes.patch"], "log_end": True}


class CutOff(NamedTuple):
    """A run that is performed by a worker without its store."""

    job: asyncio.Task[None]
    run: Run
    store: Interruptible


@asynccontextmanager
async def performing(
    workshop: Workshop, *, wait: int, brief: float = 15, **task: Any
) -> AsyncGenerator[CutOff]:
    """Yield a run while it is performed without the store, for which its worker waits so many seconds."""
    workshop = workshop.with_times(brief_store=brief)
    run = await workshop.queued_run(WORK, **task)
    process = workshop.context.process
    async with interruptible(process.settings.s3_endpoint_url or "") as between:
        changes = {"s3_endpoint_url": between.url, "worker_store_wait_seconds": wait}
        settings = process.settings.model_copy(update=changes)
        async with ObjectStore(settings, attempts=1) as store:
            await between.refuse()
            worker = workshop.with_process(settings=settings, store=store)
            yield CutOff(
                asyncio.create_task(execute_run(worker.arq_context, run_id=str(run.id))), run, between
            )


async def until_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def waits() -> bool:
        return "store.waited_for" in caplog.text

    await eventually(waits)


async def test_result_waits_for_a_store_that_comes_back(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    async with performing(workshop, wait=300) as (job, run, store):
        await until_it_waits(caplog)
        held = await workshop.read(run)
        assert (held.status, held.lease_owner is not None) == (RunStatus.IN_PROGRESS, True)
        await store.resume()
        await job

    ended = await workshop.read(run)
    assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)
    assert sorted(artifact["name"] for artifact in ended.artifacts) == ["changes.patch", "report.txt"]
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert log.count('"last words"') == 1
    assert "not_stored" not in ended.facts
    assert await workshop.left_behind() == []


async def test_run_with_a_lost_result_is_not_completed_and_names_the_lost_files(workshop: Workshop) -> None:
    async with performing(workshop, wait=1, brief=0.1) as (job, run, _):
        await job

    ended = await workshop.read(run)
    assert (ended.status, ended.artifacts) == (RunStatus.FAILED, [])
    assert ended.error_message == (
        "These files of the run could not be stored, and are lost: report.txt, changes.patch. "
        "The end of the run's log could not be stored. Start the run again."
    )
    assert ended.facts["not_stored"] == LOST
    assert ended.output is not None
    assert ended.output["summary"] == "last words"


async def test_log_says_which_files_are_lost_if_the_store_comes_back_for_it(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    async with performing(workshop, wait=1) as (job, run, store):

        async def is_lost() -> bool:
            return "artifact.not_stored" in caplog.text and "changes.patch" in caplog.text

        await eventually(is_lost)
        await store.resume()
        await job

    ended = await workshop.read(run)
    assert ended.facts["not_stored"] == LOST | {"log_end": False}
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert '"_taskbeacon/not_stored","params":{"files":["report.txt","changes.patch"]}' in log


async def test_run_that_is_cancelled_while_it_waits_ends_soon_and_says_what_is_lost(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(workshop), performing(workshop, wait=300, brief=0.1) as (job, run, _):
        await until_it_waits(caplog)
        await cancel(workshop, run)
        await job

    ended = await workshop.read(run)
    assert (ended.status, ended.facts["not_stored"]) == (RunStatus.CANCELLED, LOST)


async def test_run_that_is_cancelled_while_its_files_wait_gets_no_pull_request(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    integration = await host.integrate(token=TOKEN)
    task = {"repository": "acme/app", "github_integration_id": integration.id}
    async with (
        listening(host.workshop),
        performing(host.workshop, wait=300, brief=0.1, **task) as (job, run, _),
    ):
        await until_it_waits(caplog)
        await cancel(host.workshop, run)
        await job

    assert len(host.repositories.branches("acme/app")) == 2, "it was pushed before"
    assert host.service.asked("GET", "/pulls") == 0


async def test_worker_that_is_stopped_while_it_waits_gives_the_run_back(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    async with performing(workshop, wait=300, brief=0.1) as (job, run, _):
        await until_it_waits(caplog)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)

    left = await workshop.read(run)
    assert (left.status, left.lease_owner) == (RunStatus.QUEUED, None)
    assert left.facts["recovery"]["reason"] == "worker stopped"
    assert await workshop.left_behind() == []


async def test_worker_that_is_stopped_gives_the_run_back_though_the_store_may_still_write_its_log(
    workshop: Workshop,
) -> None:
    """Regression: each further try waited for the lock of the log, which the try before had left to lapse."""
    run = await workshop.queued_run(WORK, state={"mode": "interactive"})
    async with SilentStore(workshop.context.process.settings) as store:
        worker = workshop.with_process(store=store).with_times(brief_store=0.5)
        job = asyncio.create_task(execute_run(worker.arq_context, run_id=str(run.id)))
        await eventually(store.is_asked.is_set)
        job.cancel()
        await asyncio.wait([job], timeout=10)

    assert job.cancelled()
    left = await workshop.read(run)
    assert (left.status, left.lease_owner) == (RunStatus.QUEUED, None)


class SilentStore(ObjectStore):
    """A store that does not answer when an object is written."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.is_asked = asyncio.Event()

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        self.is_asked.set()
        await asyncio.Event().wait()


async def test_run_without_room_for_its_files_fails_in_words(workshop: Workshop) -> None:
    run = await workshop.queued_run(WORK)
    process = workshop.context.process
    process.settings.workspaces_path.parent.mkdir()
    process.settings.workspaces_path.touch()

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.lease_owner) == (RunStatus.FAILED, None)
    assert "unexpected error" in (ended.error_message or "")


class FaultyStore(ObjectStore):
    """A store that fails for objects with one suffix, in a way that nothing expects."""

    def __init__(self, settings: Settings, suffix: str) -> None:
        super().__init__(settings)
        self._suffix = suffix

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        self._fail(key)
        await super().put(key, body, content_type=content_type, tags=tags)

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        self._fail(key)
        return await super().head(key)

    def _fail(self, key: str) -> None:
        if key.endswith(self._suffix):
            raise ValueError("planted")


async def perform_with_fault(workshop: Workshop, suffix: str) -> Run:
    run = await workshop.queued_run(WORK)
    async with FaultyStore(workshop.context.process.settings, suffix) as store:
        await execute_run(workshop.with_process(store=store).arq_context, run_id=str(run.id))
    return await workshop.read(run)


async def test_run_keeps_its_other_files_if_one_cannot_be_stored_for_an_unexpected_reason(
    workshop: Workshop,
) -> None:
    """Regression: a run that had ended was left to its lease."""
    ended = await perform_with_fault(workshop, "report.txt")

    assert ended.error_message == (
        "These files of the run could not be stored, and are lost: report.txt. Start the run again."
    )
    assert [artifact["name"] for artifact in ended.artifacts] == ["changes.patch"]
    assert ended.output is not None


async def test_run_is_completed_though_its_log_cannot_be_stored_for_an_unexpected_reason(
    workshop: Workshop,
) -> None:
    ended = await perform_with_fault(workshop, ".jsonl")

    assert (ended.status, ended.error_message) == (
        RunStatus.COMPLETED,
        "The end of the run's log could not be stored.",
    )
    assert sorted(artifact["name"] for artifact in ended.artifacts) == ["changes.patch", "report.txt"]


async def test_run_with_an_unexpected_fault_keeps_what_its_agent_did(
    workshop: Workshop, engine: AsyncEngine
) -> None:
    """Regression: the run failed without patch, artifacts and summary."""
    run = await workshop.queued_run(WORK)

    end_of_the_agent = "NEW.status = 'in_progress' AND NEW.facts ? 'agent_ended_at'"
    async with refusing_some(engine, "runs", end_of_the_agent):
        await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert "unexpected error" in (ended.error_message or "")
    assert sorted(artifact["name"] for artifact in ended.artifacts) == ["changes.patch", "report.txt"]
