"""Add files to the manifest of a run, the list of its artifacts, and read them (contract 3.4, 6.4, 8.1).

An object is stored before its manifest entry is written, so that every entry has its object. Objects that a failure
leaves without an entry are deleted by the sweep. No transaction is open during requests to the object store.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
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
from app.schemas.runs.artifacts import ContentEncoding, InlineIn, InlineItem, SignedUrlOut
from app.schemas.staged_artifacts import ArtifactOut, FinalizeIn, PreparedOut, PrepareIn
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
) -> list[ArtifactOut]:
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
    manifest = await _enter(session, caller, task_id, run_id, [upload.entry(now) for upload in uploads])
    entries = {entry["storage_path"]: entry for entry in manifest}
    return [entries[path] for path in paths]


async def add_inline(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: InlineIn,
    *,
    store: ObjectStore,
) -> list[ArtifactOut]:
    """Store the files in a request, and add all or none of them to the run's manifest; return the whole manifest."""
    contents = [_content(index, item) for index, item in enumerate(body.artifacts)]
    await _manifest(session, caller, task_id, run_id)
    await release(session)
    ref = RunRef(caller.project.id, task_id, run_id)
    entries = [
        await store_run_artifact(
            store, ref, NewArtifact(item.name, content, item.content_type or "", item.type, item.source)
        )
        for item, content in zip(body.artifacts, contents, strict=True)
    ]
    return await _enter(session, caller, task_id, run_id, entries)


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
    file = _downloadable(entry)
    url = await store.signed_download(
        file.storage_path,
        disposition=file.disposition,
        content_type=file.content_type,
        lifetime=DOWNLOAD_LIFETIME,
    )
    return {"url": url, "expires_in": int(DOWNLOAD_LIFETIME.total_seconds())}


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
    found: ArtifactOut | None = await session.scalar(statement)
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


async def store_run_artifact(store: ObjectStore, ref: RunRef, file: NewArtifact) -> ArtifactOut:
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


def _downloadable(entry: ArtifactOut) -> DownloadableFile:
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
) -> list[ArtifactOut]:
    return _require((await session.execute(_visible_manifest(caller, task_id, run_id))).scalar_one_or_none())


async def _enter(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, entries: Sequence[ArtifactOut]
) -> list[ArtifactOut]:
    """Add entries to a run's manifest, its row locked; return the whole manifest."""
    locked = _visible_manifest(caller, task_id, run_id).with_for_update(of=Run, key_share=True)
    manifest = _require((await session.execute(locked)).scalar_one_or_none())
    merged = {entry["storage_path"]: entry for entry in manifest}
    for entry in entries:
        known = merged.get(entry["storage_path"])
        merged[entry["storage_path"]] = {**known, "size": entry["size"]} if known else entry
    if len(merged) > max(_MAX_ARTIFACTS, len(manifest)):
        raise StateRefused(f"A run has at most {_MAX_ARTIFACTS} artifacts")
    result = list(merged.values())
    if result != manifest:
        await session.execute(
            update(Run).where(Run.id == run_id).values(artifacts=result, updated_at=utcnow())
        )
        known_paths = {entry["storage_path"] for entry in manifest}
        added = [entry for entry in result if entry["storage_path"] not in known_paths]
        await record_artifacts(session, run_id, added)
    return result


def _require(manifest: list[ArtifactOut] | None) -> list[ArtifactOut]:
    if manifest is None:
        raise NotFound
    return manifest
