"""Add files to the manifest of a run, the list of its artifacts, and read them (contract 3.4, 6.4, 8.1).

An object is stored before its manifest entry is written, so that every entry has its object. Objects that a failure
leaves without an entry are deleted by the sweep. No transaction is open during requests to the object store.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import KEPT_DAYS, ObjectStore
from app.clock import utcnow
from app.db import release
from app.enums import ArtifactType
from app.errors import ArtifactNotFound, InvalidInput, NotFound, StateRefused
from app.ids import new_hex_id
from app.models import Run, Task
from app.schemas.runs.artifacts import (
    ContentEncoding,
    DismissIn,
    InlineIn,
    InlineItem,
    ManifestEntry,
    RunArtifactOut,
    SignedUrlOut,
)
from app.schemas.staged_artifacts import FinalizeIn, PreparedOut, PrepareIn
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.artifacts import uploads as artifact_uploads
from app.services.artifacts.uploads import (
    DOWNLOAD_LIFETIME,
    content_disposition,
    manifest_entry,
    served_content_type,
    size_error,
    tags,
)
from app.services.events.run_ledger import record_artifacts
from app.services.resume_chain import resume_chain
from app.services.storage_keys import RunRef, safe_name
from app.services.views.runs import artifacts_out

# Maximal number of entries; the manifest is read and written with its run.
_MAX_ARTIFACTS = 1000


@dataclass(frozen=True, slots=True)
class DownloadableFile:
    """A stored file of a run, with the Content-Type and Content-Disposition of its download."""

    storage_path: str
    content_type: str
    disposition: str


async def prepare_uploads(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: PrepareIn,
    *,
    store: ObjectStore,
) -> list[PreparedOut]:
    """Return a signed upload form for each file that a client wants to upload to a run. Raises StateRefused."""
    artifact_uploads.require_sizes(body.artifacts)
    await _manifest(session, caller, task_id, run_id)
    await release(session)
    folder = RunRef(caller.project.id, task_id, run_id).artifacts
    return await artifact_uploads.prepare_uploads(store, body.artifacts, folder)


async def finalize_uploads(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: FinalizeIn,
    *,
    store: ObjectStore,
) -> list[RunArtifactOut]:
    """Check files that a client has uploaded, and add all or none of them to the run's manifest; return their entries.

    For a file that is in the manifest already, only its size is updated. Raises ObjectStoreUnavailable, StateRefused.
    """
    known = {entry["storage_path"] for entry in await _manifest(session, caller, task_id, run_id)}
    await release(session)
    folder = RunRef(caller.project.id, task_id, run_id).artifacts
    uploads = await artifact_uploads.measure_uploads(store, body.artifacts, folder, claimed=known)
    paths = [upload.item.storage_path for upload in uploads]
    await artifact_uploads.tag_objects(store, paths, tags(KEPT_DAYS, caller.project.id))
    now = utcnow()
    entries: list[ManifestEntry] = [
        {**upload.entry(now), "uploaded_by": "user", "uploaded_by_user_id": caller.user_id}  # type: ignore[typeddict-item] # it has no keys of its own
        for upload in uploads
    ]
    manifest = await _enter(session, caller, task_id, run_id, entries)
    stored = {entry["storage_path"]: entry for entry in manifest}
    return artifacts_out(RunRef(caller.project.id, task_id, run_id), [stored[path] for path in paths])


async def add_inline(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: InlineIn,
    *,
    store: ObjectStore,
) -> list[RunArtifactOut]:
    """Store the files in a request, and add all or none of them to the run's manifest; return the whole manifest."""
    contents = [_content(index, item) for index, item in enumerate(body.artifacts)]
    await _manifest(session, caller, task_id, run_id)
    await release(session)
    ref = RunRef(caller.project.id, task_id, run_id)
    entries = [
        await store_run_artifact(
            store,
            ref,
            NewArtifact(item.name, content, item.content_type or "", item.type, item.source, caller.user_id),
        )
        for item, content in zip(body.artifacts, contents, strict=True)
    ]
    return artifacts_out(ref, await _enter(session, caller, task_id, run_id, entries))


async def presign_download(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    storage_path: str,
    *,
    store: ObjectStore,
) -> SignedUrlOut:
    """Return a signed URL to download one of the run's files. For an hour, the URL works without an API key."""
    manifest = await _manifest(session, caller, task_id, run_id)
    entry = next((entry for entry in manifest if entry["storage_path"] == storage_path), None)
    if entry is None:
        raise ArtifactNotFound
    await release(session)
    return {"url": await _sign(store, entry), "expires_in": int(DOWNLOAD_LIFETIME.total_seconds())}


async def sign_artifact(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    artifact_id: str,
    *,
    store: ObjectStore,
) -> str:
    """Return a new signed URL to download one of the run's files, dismissed or not, as `presign_download` does."""
    manifest = await _manifest(session, caller, task_id, run_id)
    entry = next((entry for entry in manifest if entry["id"] == artifact_id), None)
    if entry is None:
        raise NotFound
    await release(session)
    return await _sign(store, entry)


async def _sign(store: ObjectStore, entry: ManifestEntry) -> str:
    file = _downloadable(entry)
    return await store.signed_download(
        file.storage_path,
        disposition=file.disposition,
        content_type=file.content_type,
        lifetime=DOWNLOAD_LIFETIME,
    )


async def dismiss_artifacts(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, body: DismissIn
) -> list[RunArtifactOut]:
    """Mark files of a run as dismissed, or unmark them, all or none; return the whole manifest. Nothing is deleted.

    A file that is dismissed again keeps the time of the first request.
    """
    manifest = await _lock_manifest(session, caller, task_id, run_id)
    ids = set(body.artifact_ids)
    if not ids <= {entry["id"] for entry in manifest}:
        raise ArtifactNotFound
    now = utcnow()
    changed = [
        _dismissed(entry, now if body.dismissed else None) if entry["id"] in ids else entry
        for entry in manifest
    ]
    await _write_manifest(session, run_id, manifest, changed)
    return artifacts_out(RunRef(caller.project.id, task_id, run_id), changed)


def _dismissed(entry: ManifestEntry, at: datetime | None) -> ManifestEntry:
    entry = entry.copy()
    if at is None:
        entry.pop("dismissed_at", None)
    else:
        entry.setdefault("dismissed_at", at.isoformat())
    return entry


async def find_download(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, storage_path: str
) -> DownloadableFile:
    """Return the file with this storage path for download, from the run or one that it resumes (contract 9.2)."""
    await _manifest(session, caller, task_id, run_id)
    chain = resume_chain(task_id, run_id, Run.artifacts)
    entry = manifest_entry(chain.c.artifacts)
    statement = (
        select(entry)
        .select_from(chain)
        .where(entry["storage_path"].astext == storage_path)
        .order_by(chain.c.depth)
        .limit(1)
    )
    found: ManifestEntry | None = await session.scalar(statement)
    if found is None:
        raise ArtifactNotFound
    return _downloadable(found)


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A file that the service adds to a run, with its content."""

    name: str
    content: bytes | Path
    content_type: str
    type: ArtifactType
    source: str
    # The user who uploaded it; None for a file that the run's agent brings.
    user_id: int | None = None


async def store_run_artifact(store: ObjectStore, ref: RunRef, file: NewArtifact) -> ManifestEntry:
    """Store a file of a run in the object store; return the entry that the caller must add to the run's manifest."""
    artifact_id = new_hex_id()
    key = ref.artifacts.key(artifact_id, file.name)
    # Clients with a signed URL get the type from the store; it comes from a client and may be any text.
    stored_type = served_content_type(file.content_type)
    content = file.content
    await store.put(key, content, content_type=stored_type, tags=tags(KEPT_DAYS, ref.project_id))
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return {
        "id": artifact_id,
        "name": safe_name(file.name),
        "type": file.type,
        "source": file.source,
        "size": size,
        "content_type": file.content_type,
        "storage_path": key,
        "uploaded_at": utcnow().isoformat(),
        "uploaded_by": "agent" if file.user_id is None else "user",
        "uploaded_by_user_id": file.user_id,
    }


def _content(index: int, item: InlineItem) -> bytes:
    attr = f"artifacts__{index}__content"
    if item.content_encoding is ContentEncoding.BASE64:
        try:
            content = base64.b64decode(item.content, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("Invalid base64 content", attr=attr) from None
    else:
        content = item.content.encode()
    error = size_error(item.name, len(content), type_=item.type, content_type=item.content_type or "")
    if error is not None:
        raise InvalidInput(error, attr=attr)
    return content


def _downloadable(entry: ManifestEntry) -> DownloadableFile:
    content_type = served_content_type(entry["content_type"])
    return DownloadableFile(
        storage_path=entry["storage_path"],
        content_type=content_type,
        disposition=content_disposition(entry["name"], content_type),
    )


def _visible_manifest(caller: Principal, task_id: UUID, run_id: UUID) -> Select[Any]:
    return (
        select(Run.artifacts).join(Task, Task.id == Run.task_id).where(visible_run(caller, task_id, run_id))
    )


async def _manifest(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID
) -> list[ManifestEntry]:
    return _require(await session.scalar(_visible_manifest(caller, task_id, run_id)))


async def _lock_manifest(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID
) -> list[ManifestEntry]:
    locked = _visible_manifest(caller, task_id, run_id).with_for_update(of=Run, key_share=True)
    return _require(await session.scalar(locked))


async def _enter(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, entries: Sequence[ManifestEntry]
) -> list[ManifestEntry]:
    manifest = await _lock_manifest(session, caller, task_id, run_id)
    merged = {entry["storage_path"]: entry for entry in manifest}
    for entry in entries:
        known = merged.get(entry["storage_path"])
        merged[entry["storage_path"]] = {**known, "size": entry["size"]} if known else entry
    if len(merged) > max(_MAX_ARTIFACTS, len(manifest)):
        raise StateRefused(f"A run has at most {_MAX_ARTIFACTS} artifacts")
    result = list(merged.values())
    if await _write_manifest(session, run_id, manifest, result):
        known_paths = {entry["storage_path"] for entry in manifest}
        added = [entry for entry in result if entry["storage_path"] not in known_paths]
        await record_artifacts(session, run_id, added)
    return result


async def _write_manifest(
    session: AsyncSession, run_id: UUID, before: Sequence[ManifestEntry], after: Sequence[ManifestEntry]
) -> bool:
    if before == after:
        return False
    await session.execute(update(Run).where(Run.id == run_id).values(artifacts=after, updated_at=utcnow()))
    return True


def _require(manifest: list[ManifestEntry] | None) -> list[ManifestEntry]:
    if manifest is None:
        raise NotFound
    return manifest
