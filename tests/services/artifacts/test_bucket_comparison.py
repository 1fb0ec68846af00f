"""Rows and files that differ, and those that only look so, on a bucket of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.bucket import KEPT_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef, staged_folder
from app.clock import utcnow
from app.db import SessionFactory
from app.enums import RunStatus
from app.ids import new_hex_id, new_id
from app.models import Project, RunLogState, Task, User
from app.services.artifacts.bucket_comparison import compare_files
from tests.support.clock import MovableClock
from tests.support.factories import make_run, make_staged_artifact, make_task

CONTENT = b"hello"
# Three, of which the last is not full.
RUNS = 45


@pytest.fixture(autouse=True)
def _now(clock: MovableClock) -> None:
    """The store has a clock of its own, which is right."""
    clock.now = datetime.now(UTC)


async def put(bucket: ObjectStore, key: str) -> str:
    await bucket.put(key, CONTENT, content_type="text/plain", tags={})
    return key


def path_of(task: Task, run_id: Any) -> str:
    return RunRef(task.project_id, task.id, run_id).artifacts.key(new_hex_id(), "a.txt")


def entry(path: str, *, size: int = len(CONTENT), age: timedelta = timedelta(0)) -> dict[str, Any]:
    return {"storage_path": path, "size": size, "uploaded_at": (utcnow() - age).isoformat()}


async def compare(sessions: SessionFactory, bucket: ObjectStore) -> set[tuple[str, str]]:
    return {(file.found, file.key) async for file in compare_files(sessions, bucket)}


async def test_files_of_manifests_and_staged_ones_over_several_pages(
    own_bucket: ObjectStore,
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
) -> None:
    expected = set()
    for number in range(RUNS):
        run_id = new_id()
        there = await put(own_bucket, path_of(task, run_id))
        other, missing = await put(own_bucket, path_of(task, run_id)), path_of(task, run_id)
        await make_run(session, task=task, id=run_id, artifacts=[
            entry(there), entry(other, size=number + 6), entry(missing)
        ])  # fmt: skip
        staged = staged_folder(task.project_id, task.id).key(new_hex_id(), "a.txt")
        await make_staged_artifact(session, task=task, path=staged)
        expected |= {("same", there), ("differs", other), ("missing", missing), ("missing", staged)}

    assert await compare(sessions, own_bucket) == expected


async def test_files_without_a_row(
    own_bucket: ObjectStore, sessions: SessionFactory, session: AsyncSession, task: Task
) -> None:
    run = await make_run(session, task=task)
    known, unknown = (RunRef(task.project_id, task.id, id_) for id_ in (run.id, new_id()))
    for ref in (known, unknown):
        for key in (ref.log_key, ref.session_key, ref.texts_key):
            await put(own_bucket, key)
    attachment = await put(own_bucket, path_of(task, run.id))
    await put(own_bucket, "tasks/of/another/form")

    lost = {unknown.log_key, unknown.session_key, unknown.texts_key, attachment}
    assert await compare(sessions, own_bucket) == {("without_row", key) for key in lost}


@pytest.mark.parametrize(
    ("valid", "found"), [(4, "same"), (5, "same"), (6, "differs"), (0, None), (None, None)]
)
async def test_log_has_at_least_its_valid_size(
    own_bucket: ObjectStore,
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    valid: int | None,
    found: str | None,
) -> None:
    run = await make_run(session, task=task)
    session.add(RunLogState(run_id=run.id, size=valid))
    await session.flush()
    key = await put(own_bucket, RunRef(task.project_id, task.id, run.id).log_key)

    assert await compare(sessions, own_bucket) == ({(found, key)} if found else set())


async def test_what_the_bucket_and_the_sweep_delete_is_not_missing(
    own_bucket: ObjectStore,
    sessions: SessionFactory,
    session: AsyncSession,
    project: Project,
    owner: User,
    task: Task,
) -> None:
    old = timedelta(days=KEPT_DAYS, hours=1)
    run_id, ended_at = new_id(), utcnow() - old
    await make_run(
        session,
        task=task,
        id=run_id,
        status=RunStatus.COMPLETED,
        artifacts=[entry(path_of(task, run_id), age=old)],
        completed_at=ended_at,
    )
    session.add(RunLogState(run_id=run_id, size=5))
    long_ago = utcnow() - timedelta(days=8)
    deleted = await make_task(session, project=project, created_by=owner, deleted=True, deleted_at=long_ago)
    await put(own_bucket, path_of(deleted, new_id()))
    of_deleted = [entry(path_of(deleted, new_id()))]
    await make_run(session, task=deleted, status=RunStatus.COMPLETED, artifacts=of_deleted)
    await make_staged_artifact(
        session,
        task=task,
        path=staged_folder(task.project_id, task.id).key(new_hex_id(), "a"),
        lifetime=-timedelta(hours=1),
    )

    assert await compare(sessions, own_bucket) == set()
