"""Staged artifacts: files that are uploaded for a task, and later given to one of its runs (contract 5.9, 6.1, 8.3)."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.bucket import KEPT_DAYS, STAGED_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import staged_folder
from app.clock import utcnow
from app.db import after_commit, release
from app.errors import RunRefused
from app.models import StagedArtifact
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.staged_artifacts import ArtifactOut, FinalizeIn, PreparedOut, PrepareIn
from app.services.access.principal import Principal
from app.services.access.visibility import lock_task, require_task
from app.services.artifacts import artifact_uploads
from app.services.artifacts.artifact_uploads import STAGED_LIFETIME, Upload, attached_paths, tags


async def prepare_uploads(
    session: AsyncSession, caller: Principal, task_id: UUID, body: PrepareIn, *, store: ObjectStore
) -> list[PreparedOut]:
    """Return a signed upload form for each file that a client wants to upload for a task. Raises StateRefused."""
    artifact_uploads.require_sizes(body.artifacts)
    await require_task(session, caller, task_id)
    await release(session)
    folder = staged_folder(caller.project.id, task_id)
    return await artifact_uploads.prepare_uploads(store, body.artifacts, folder)


async def finalize_uploads(
    session: AsyncSession, caller: Principal, task_id: UUID, body: FinalizeIn, *, store: ObjectStore
) -> list[ArtifactOut]:
    """Check files that a client has uploaded for a task, and store an entry for each or for none; return the entries.

    For a day, a new run of the task can take over the files. If a file is finalised again, its day begins again, while
    the bucket counts the day of its rule from the upload. Raises ObjectStoreUnavailable, StateRefused.
    """
    await require_task(session, caller, task_id)
    paths = [item.storage_path for item in body.artifacts]
    waiting = select(StagedArtifact.storage_path).where(
        StagedArtifact.task_id == task_id,
        StagedArtifact.storage_path.in_(paths),
        StagedArtifact.expires_at > utcnow(),
    )
    attached = await attached_paths(session, [task_id], paths)
    claimed = attached.union(await session.scalars(waiting))
    await release(session)
    folder = staged_folder(caller.project.id, task_id)
    uploads = await artifact_uploads.measure_uploads(store, body.artifacts, folder, claimed=claimed)
    # Tag the files before a run can take them: its tag, with a longer lifetime, must be written last.
    fresh = [path for path in paths if path not in attached]
    await artifact_uploads.tag_objects(store, fresh, tags(STAGED_DAYS, caller.project.id))
    await lock_task(session, caller, task_id)
    answer = await _remember(session, task_id, uploads, caller.user_id)
    # A run may have taken a file while it was finalised a second time (contract 11 #18).
    taken = await attached_paths(session, [task_id], paths)
    keep_artifacts(session, store, caller.project.id, [*taken])
    return answer


async def _remember(
    session: AsyncSession, task_id: UUID, uploads: Sequence[Upload], user_id: int
) -> list[ArtifactOut]:
    now = utcnow()
    entries = [upload.entry(now) for upload in uploads]
    common = {
        "task_id": task_id,
        "uploaded_at": now,
        "expires_at": now + STAGED_LIFETIME,
        "uploaded_by_id": user_id,
    }
    # One statement cannot write a row twice: of items with the same id, the last one counts.
    rows = {entry["id"]: {**entry, **common, "artifact_id": entry["id"]} for entry in entries}
    for row in rows.values():
        del row["id"]
    statement = upsert(StagedArtifact).values([*rows.values()])
    keys = ["task_id", "artifact_id"]
    written = {name: value for name, value in statement.excluded.items() if name not in keys}
    await session.execute(statement.on_conflict_do_update(index_elements=keys, set_=written))
    return entries


def _entry(row: StagedArtifact) -> ManifestEntry:
    return {
        "id": row.artifact_id,
        "name": row.name,
        "type": row.type,
        "source": row.source,
        "size": row.size,
        "content_type": row.content_type,
        "storage_path": row.storage_path,
        "uploaded_at": row.uploaded_at.isoformat(),
        "uploaded_by": "user",
        "uploaded_by_user_id": row.uploaded_by_id,
    }


async def take_artifacts(session: AsyncSession, task_id: UUID, ids: Sequence[str]) -> list[ManifestEntry]:
    """Take staged files of a locked task for a new run; return entries for its manifest, by `ids`, each once."""
    unique_ids = list(dict.fromkeys(ids))
    if not unique_ids:
        return []
    deleted = (
        delete(StagedArtifact)
        .where(
            StagedArtifact.task_id == task_id,
            StagedArtifact.artifact_id.in_(unique_ids),
            StagedArtifact.expires_at > utcnow(),
        )
        .returning(StagedArtifact)
    )
    taken = {row.artifact_id: row for row in await session.scalars(deleted)}
    missing = [artifact_id for artifact_id in unique_ids if artifact_id not in taken]
    if missing:
        raise RunRefused(
            "Some pending_user_artifact_ids are invalid or expired", missing_artifact_ids=missing
        )
    return [_entry(taken[artifact_id]) for artifact_id in unique_ids]


def keep_artifacts(session: AsyncSession, store: ObjectStore, project_id: int, paths: Sequence[str]) -> None:
    """Have the store keep files of a run for `KEPT_DAYS`, after the commit. Failures are only logged."""
    if paths:
        kept = tags(KEPT_DAYS, project_id)
        after_commit(session, partial(artifact_uploads.tag_objects, store, paths, kept))
