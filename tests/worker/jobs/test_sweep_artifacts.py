"""The job that deletes expired files: it also keeps the rules of the bucket, and an outage ends it with a warning."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import staged_folder
from app.ids import new_hex_id
from app.models import StagedArtifact, Task
from app.worker.jobs.sweep_artifacts import sweep_artifacts
from tests.fixtures.worker import Workshop
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_staged_artifact


@pytest.fixture(autouse=True)
def _now(clock: MovableClock) -> None:
    """The store has a clock of its own, which is right."""
    clock.now = datetime.now(UTC)


async def stage(session: AsyncSession, bucket: ObjectStore, task: Task) -> str:
    """Make a staged file, and return its key."""
    key = staged_folder(task.project_id, task.id).key(new_hex_id(), "a.txt")
    await bucket.put(key, b"hello", content_type="text/plain", tags={})
    await make_staged_artifact(session, task=task, path=key)
    return key


async def keys(bucket: ObjectStore) -> list[str]:
    return [listed.key async for page in bucket.bucket.list_pages("") for listed in page]


async def test_job_deletes_expired_files_and_writes_the_rules_of_the_bucket(
    workshop: Workshop, own_bucket: ObjectStore, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    job = workshop.with_process(store=own_bucket)
    await stage(session, own_bucket, task)
    clock.advance(hours=25)
    kept = await stage(session, own_bucket, task)

    await sweep_artifacts(job.arq_context)
    await sweep_artifacts(job.arq_context)

    assert await keys(own_bucket) == [kept]
    assert (await session.scalars(select(StagedArtifact.storage_path))).all() == [kept]
    client = (await own_bucket._s3.clients()).internal
    rules = await client.get_bucket_lifecycle_configuration(Bucket=own_bucket.bucket.name)
    # The bucket is that of earlier tests too, which may have added rules of others.
    assert {rule["ID"] for rule in rules["Rules"]} >= {"taskbeacon-ttl-1", "taskbeacon-ttl-30"}


async def test_outage_of_the_store_is_a_warning_and_the_next_job_deletes_the_files(
    workshop: Workshop,
    own_bucket: ObjectStore,
    session: AsyncSession,
    task: Task,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await stage(session, own_bucket, task)
    clock.advance(hours=25)
    away = {"s3_endpoint_url": f"http://127.0.0.1:{closed_port()}", "s3_bucket": own_bucket.bucket.name}
    async with ObjectStore(workshop.context.process.settings.model_copy(update=away), attempts=1) as store:
        await sweep_artifacts(workshop.with_process(store=store).arq_context)

    assert caplog.text.count("artifacts.not_swept") == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    # With its files: they are the reason to delete them.
    assert len((await session.scalars(select(StagedArtifact.storage_path))).all()) == 1

    await sweep_artifacts(workshop.with_process(store=own_bucket).arq_context)

    assert await keys(own_bucket) == []
    assert (await session.scalars(select(StagedArtifact.storage_path))).all() == []
