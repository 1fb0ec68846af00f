"""Files that the sweep deletes and files that it never deletes, on a bucket of its own (contract 8.3)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.object_store import ObjectStore
from app.clock import utcnow
from app.db import SessionFactory
from app.enums import RunStatus
from app.ids import new_hex_id, new_id
from app.models import Run, StagedArtifact, Task
from app.services.artifacts.sweep import (
    DELETED_LIFETIME,
    SweepReason,
    SweptObject,
    sweep_artifacts,
    write_lifecycle,
)
from app.services.storage_keys import RunRef, staged_folder
from app.services.sweeping import delete_batch, until_none_is_left
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_staged_artifact


@pytest.fixture
def bucket(own_bucket: ObjectStore) -> ObjectStore:
    return own_bucket


@dataclass
class Swept:
    """The result of a sweep, and the files that it listed."""

    objects: list[SweptObject]
    expired_entries: int
    removed: int


RunSweep = Callable[..., Awaitable[Swept]]


@pytest.fixture
def sweep(sessions: SessionFactory, bucket: ObjectStore) -> RunSweep:
    async def run(*, dry_run: bool = False) -> Swept:
        listed: list[SweptObject] = []
        swept = await sweep_artifacts(sessions, bucket, dry_run=dry_run, listed=listed)
        return Swept(listed, swept.expired_entries, swept.removed)

    return run


@pytest.fixture(autouse=True)
def _now(clock: MovableClock) -> None:
    """The store has a clock of its own, which is right."""
    clock.now = datetime.now(UTC)


async def put(bucket: ObjectStore, key: str) -> str:
    await bucket.put(key, b"hello", content_type="text/plain", tags={})
    return key


def staged_path(task: Task) -> str:
    return staged_folder(task.project_id, task.id).key(new_hex_id(), "a.txt")


def run_path(run: Run) -> str:
    return RunRef(run.project_id, run.task_id, run.id).artifacts.key(new_hex_id(), "a.txt")


async def list_keys(bucket: ObjectStore) -> set[str]:
    return {listed.key async for page in bucket.pages("") for listed in page}


async def test_expired_entry_goes_with_its_object(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    path = await put(bucket, staged_path(task))
    await make_staged_artifact(session, task=task, path=path)

    assert (await sweep()).objects == []
    clock.advance(hours=25)
    swept = await sweep()

    assert [(each.key, each.reason) for each in swept.objects] == [(path, SweepReason.EXPIRED)]
    assert (swept.expired_entries, swept.removed) == (1, 1)
    assert await list_keys(bucket) == set()
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 0
    assert (await sweep()).removed == 0


async def test_many_expired_entries_go_in_batches(
    sessions: SessionFactory, session: AsyncSession, engine: AsyncEngine, task: Task
) -> None:
    """Regression: one statement deleted them all, and after a long standstill it would run into its time limit."""
    for _ in range(5):
        await make_staged_artifact(session, task=task, path=staged_path(task))

    async with recorded(engine) as statements:
        swept = await until_none_is_left(
            sessions, lambda own: delete_batch(own, StagedArtifact, true(), most=2)
        )

    assert swept == 5
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 0
    assert sum("DELETE FROM staged_artifacts" in statement.sql for statement in statements) == 4


async def test_staged_file_that_waits_stays_however_old_its_object_is(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    path = await put(bucket, staged_path(task))
    clock.advance(days=3)
    await make_staged_artifact(session, task=task, path=path, lifetime=timedelta(hours=1))

    swept = await sweep()

    assert (swept.objects, swept.expired_entries) == ([], 0)
    assert await list_keys(bucket) == {path}


async def test_upload_that_was_not_finalised_goes_after_a_day(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    run = await make_run(session, task=task)
    orphans = {
        await put(bucket, staged_path(task)),
        await put(bucket, run_path(run)),
        # Of a task that is in no table, such as one of a project that was removed.
        await put(bucket, staged_folder(task.project_id, new_id()).key(new_hex_id(), "a")),
    }

    clock.advance(hours=23)
    assert (await sweep()).objects == []
    clock.advance(hours=2)
    swept = await sweep()

    assert {each.key: each.reason for each in swept.objects} == dict.fromkeys(orphans, SweepReason.UNCLAIMED)
    assert await list_keys(bucket) == set()


@pytest.mark.parametrize("status", list(RunStatus))
async def test_attached_file_is_never_taken(
    bucket: ObjectStore,
    sweep: RunSweep,
    session: AsyncSession,
    task: Task,
    clock: MovableClock,
    status: RunStatus,
) -> None:
    path = await put(bucket, staged_path(task))
    # Finalised once more after the run took it, and expired since.
    await make_staged_artifact(session, task=task, path=path)
    await make_run(session, task=task, status=status, artifacts=[{"storage_path": path}])
    clock.advance(days=100)

    swept = await sweep()

    assert swept.objects == []
    assert await list_keys(bucket) == {path}


async def test_files_of_a_deleted_task_go_after_the_grace_time_and_its_logs_stay(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    run = await make_run(session, task=task, status=RunStatus.COMPLETED)
    path, log = run_path(run), RunRef(run.project_id, run.task_id, run.id).log_key
    await put(bucket, path)
    await put(bucket, log)
    run.artifacts = [{"storage_path": path}]
    task.deleted, task.deleted_at = True, utcnow()
    await session.flush()

    clock.advance(seconds=DELETED_LIFETIME.total_seconds() - 1)
    assert (await sweep()).objects == []
    clock.advance(seconds=1)
    swept = await sweep()

    assert [(each.key, each.reason) for each in swept.objects] == [(path, SweepReason.DELETED)]
    assert await list_keys(bucket) == {log}


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.IN_PROGRESS])
async def test_deleted_task_with_a_live_run_keeps_its_files(
    bucket: ObjectStore,
    sweep: RunSweep,
    session: AsyncSession,
    task: Task,
    clock: MovableClock,
    status: RunStatus,
) -> None:
    run = await make_run(session, task=task, status=status)
    path = await put(bucket, run_path(run))
    run.artifacts = [{"storage_path": path}]
    task.deleted, task.deleted_at = True, utcnow()
    await session.flush()
    clock.advance(days=100)

    assert (await sweep()).objects == []
    assert await list_keys(bucket) == {path}


async def test_dry_run_lists_what_would_go_and_removes_nothing(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    path = await put(bucket, staged_path(task))
    await make_staged_artifact(session, task=task, path=path)
    clock.advance(hours=25)

    swept = await sweep(dry_run=True)

    assert [(each.key, each.size) for each in swept.objects] == [(path, 5)]
    assert (swept.expired_entries, swept.removed) == (1, 0)
    assert await list_keys(bucket) == {path}
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 1


@pytest.mark.parametrize(
    "key", ["tasks/artifacts/readme.txt", "tasks/artifacts/team_1/task_x/staged/a/b", "elsewhere/file"]
)
async def test_what_is_not_ours_is_left_alone(
    bucket: ObjectStore, sweep: RunSweep, clock: MovableClock, key: str
) -> None:
    await put(bucket, key)
    clock.advance(days=1000)

    assert (await sweep()).objects == []
    assert await list_keys(bucket) == {key}


async def test_lifecycle_rules_follow_the_tags_and_leave_foreign_rules_alone(bucket: ObjectStore) -> None:
    days = {"Expiration": {"Days": 90}}
    foreign = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "backups/"}, **days}
    client = (await bucket.clients()).internal
    await client.put_bucket_lifecycle_configuration(
        Bucket=bucket.bucket, LifecycleConfiguration={"Rules": [foreign]}
    )

    await write_lifecycle(bucket)

    rules = {
        rule["ID"]: rule
        for rule in (await client.get_bucket_lifecycle_configuration(Bucket=bucket.bucket))["Rules"]
    }
    assert rules["theirs"]["Expiration"] == {"Days": 90}
    tagged = [rule for name, rule in rules.items() if name != "theirs"]
    lifetimes = {rule["Filter"]["Tag"]["Value"]: rule["Expiration"]["Days"] for rule in tagged}
    assert lifetimes == {"1": 1, "30": 30}
    assert {rule["Filter"]["Tag"]["Key"] for rule in tagged} == {"ttl_days"}
    assert await bucket.write_lifecycle((1, 30)) is False
