"""Files that the sweep deletes and files that it never deletes, on a bucket of its own (contract 8.3)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.storage.bucket import ListedObject
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef, staged_folder
from app.clock import utcnow
from app.db import SessionFactory
from app.db.sweeping import delete_batch, until_none_is_left
from app.enums import RunStatus
from app.ids import new_hex_id, new_id
from app.models import Project, Run, StagedArtifact, Task, User
from app.services.artifacts.artifact_sweep import (
    DELETED_LIFETIME,
    read_known,
    sweep_artifacts,
    write_lifecycle,
)
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_staged_artifact, make_task


@pytest.fixture
def bucket(own_bucket: ObjectStore) -> ObjectStore:
    return own_bucket


RunSweep = Callable[[], Awaitable[None]]


@pytest.fixture
def sweep(sessions: SessionFactory, bucket: ObjectStore) -> RunSweep:
    return partial(sweep_artifacts, sessions, bucket)


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
    return {listed.key async for page in bucket.bucket.list_pages("") for listed in page}


async def test_expired_entry_goes_with_its_object(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    path = await put(bucket, staged_path(task))
    await make_staged_artifact(session, task=task, path=path)

    await sweep()
    assert await list_keys(bucket) == {path}
    clock.advance(hours=25)
    await sweep()
    assert await list_keys(bucket) == set()
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 0
    await sweep()


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


async def test_page_of_the_bucket_reads_only_the_files_that_it_names(
    session: AsyncSession, task: Task
) -> None:
    """Regression: each page read all files of all runs of its tasks, a thousand for a run, into memory."""
    run = await make_run(session, task=task)
    attached, staged = [run_path(run), run_path(run)], [staged_path(task), staged_path(task)]
    run.artifacts = [{"storage_path": path} for path in attached]
    for path in staged:
        await make_staged_artifact(session, task=task, path=path)
    await session.flush()

    known = await read_known(session, [ListedObject(path, 5, utcnow()) for path in (attached[0], staged[0])])

    assert set(known.attached) == {attached[0]}
    assert set(known.staged) == {staged[0]}


async def test_staged_file_that_waits_stays_however_old_its_object_is(
    bucket: ObjectStore, sweep: RunSweep, session: AsyncSession, task: Task, clock: MovableClock
) -> None:
    path = await put(bucket, staged_path(task))
    clock.advance(days=3)
    await make_staged_artifact(session, task=task, path=path, lifetime=timedelta(hours=1))

    await sweep()

    assert await list_keys(bucket) == {path}
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 1


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
    await sweep()
    assert await list_keys(bucket) == orphans
    clock.advance(hours=2)
    await sweep()

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

    await sweep()

    assert await list_keys(bucket) == {path}


async def test_files_of_a_deleted_task_go_after_the_grace_time_with_its_logs(
    bucket: ObjectStore,
    sweep: RunSweep,
    session: AsyncSession,
    task: Task,
    project: Project,
    owner: User,
    clock: MovableClock,
) -> None:
    """Regression: logs, conversations and texts were left to the rules of the bucket, which may not be written."""
    run = await make_run(session, task=task, status=RunStatus.COMPLETED)
    path, ref = run_path(run), RunRef(run.project_id, run.task_id, run.id)
    other = await make_run(session, task=await make_task(session, project=project, created_by=owner))
    stays = await put(bucket, RunRef(other.project_id, other.task_id, other.id).log_key)
    goes = {await put(bucket, key) for key in (path, ref.log_key, ref.session_key, ref.texts_key)}
    run.artifacts = [{"storage_path": path}]
    task.deleted, task.deleted_at = True, utcnow()
    await session.flush()

    clock.advance(seconds=DELETED_LIFETIME.total_seconds() - 1)
    await sweep()
    assert await list_keys(bucket) == {stays, *goes}
    clock.advance(seconds=1)
    await sweep()

    assert await list_keys(bucket) == {stays}


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

    await sweep()

    assert await list_keys(bucket) == {path}


@pytest.mark.parametrize(
    "key", ["tasks/artifacts/readme.txt", "tasks/artifacts/team_1/task_x/staged/a/b", "elsewhere/file"]
)
async def test_what_is_not_ours_is_left_alone(
    bucket: ObjectStore, sweep: RunSweep, clock: MovableClock, key: str
) -> None:
    await put(bucket, key)
    clock.advance(days=1000)

    await sweep()

    assert await list_keys(bucket) == {key}


async def test_lifecycle_rules_follow_the_tags_and_leave_foreign_rules_alone(bucket: ObjectStore) -> None:
    days = {"Expiration": {"Days": 90}}
    foreign = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "backups/"}, **days}
    client = (await bucket._s3.clients()).internal
    await client.put_bucket_lifecycle_configuration(
        Bucket=bucket.bucket.name, LifecycleConfiguration={"Rules": [foreign]}
    )

    await write_lifecycle(bucket)

    rules = {
        rule["ID"]: rule
        for rule in (await client.get_bucket_lifecycle_configuration(Bucket=bucket.bucket.name))["Rules"]
    }
    assert rules["theirs"]["Expiration"] == {"Days": 90}
    tagged = [rule for name, rule in rules.items() if name != "theirs"]
    lifetimes = {rule["Filter"]["Tag"]["Value"]: rule["Expiration"]["Days"] for rule in tagged}
    assert lifetimes == {"1": 1, "30": 30}
    assert {rule["Filter"]["Tag"]["Key"] for rule in tagged} == {"ttl_days"}
    assert await bucket.bucket.write_rules() is False

    ours = rules["taskbeacon-ttl-30"]
    for broken in ({"Status": "Disabled"}, {"Filter": {"Tag": {"Key": "ttl_days", "Value": "31"}}}):
        rest = [rule for rule in rules.values() if rule != ours]
        await client.put_bucket_lifecycle_configuration(
            Bucket=bucket.bucket.name, LifecycleConfiguration={"Rules": [*rest, ours | broken]}
        )
        assert await bucket.bucket.write_rules() is True
        assert await bucket.bucket.write_rules() is False
