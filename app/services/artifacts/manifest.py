"""Add files to the manifest of a run, the list of its artifacts, and read them (contract 3.4, 6.4, 8.1).

An object is stored before its manifest entry is written, so that every entry has its object. Objects that a failure
leaves without an entry are deleted by the sweep. No transaction is open during requests to the object store.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.bucket import KEPT_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef, safe_name
from app.clock import utcnow
from app.db import release
from app.db.statements import count_changed
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
from app.schemas.staged_artifacts import ArtifactOut, FinalizeIn, PreparedOut, PrepareIn
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.artifacts import artifact_uploads
from app.services.artifacts.artifact_uploads import (
    DOWNLOAD_LIFETIME,
    content_disposition,
    manifest_entry,
    served_content_type,
    size_error,
    tags,
)
from app.services.events.run_ledger import record_artifacts
from app.services.resume_chain import resume_chain
from app.services.views.runs import artifacts_out

# The most entries of a manifest, which is read and written as a whole with its run.
_MAX_ARTIFACTS = 1000
# All entries except the worker's outputs with one of these names.
_OTHERS: ColumnElement[object] = literal_column(
    """'$[*] ? (!(@.type == "output" && @.uploaded_by == "agent" && @.name == $names[*]))'::jsonpath"""
)


@dataclass(frozen=True, slots=True)
class DownloadableFile:
    storage_path: str
    content_type: str
    disposition: str


@dataclass(frozen=True, slots=True)
class RunManifest:
    """The files of a run, for a caller. Each method raises NotFound unless the caller sees the run."""

    session: AsyncSession
    caller: Principal
    run: RunRef
    store: ObjectStore

    async def prepare_uploads(self, body: PrepareIn) -> list[PreparedOut]:
        """Return a signed upload form for each file that a client wants to upload. Raises StateRefused."""
        artifact_uploads.require_sizes(body.artifacts)
        await self._read()
        await release(self.session)
        return await artifact_uploads.prepare_uploads(self.store, body.artifacts, self.run.artifacts)

    async def finalize_uploads(self, body: FinalizeIn) -> list[RunArtifactOut]:
        """Check files that a client has uploaded, and add all or none of them to the manifest; return their entries.

        For a file that is in the manifest already, only its size is updated. Raises ObjectStoreUnavailable,
        StateRefused.
        """
        known = {entry["storage_path"] for entry in await self._read()}
        await release(self.session)
        uploads = await artifact_uploads.measure_uploads(
            self.store, body.artifacts, self.run.artifacts, claimed=known
        )
        paths = [upload.item.storage_path for upload in uploads]
        await artifact_uploads.tag_objects(self.store, paths, tags(KEPT_DAYS, self.run.project_id))
        now = utcnow()
        entries: list[ManifestEntry] = [
            {
                **upload.entry(now),  # type: ignore[typeddict-item] # it has no keys of its own
                "uploaded_by": "user",
                "uploaded_by_user_id": self.caller.user_id,
            }
            for upload in uploads
        ]
        stored = {entry["storage_path"]: entry for entry in await self._enter(entries)}
        return artifacts_out(self.run, [stored[path] for path in paths])

    async def add_inline(self, body: InlineIn) -> list[RunArtifactOut]:
        """Store the files in a request, and add all or none of them to the manifest; return the whole manifest."""
        contents = [_content(index, item) for index, item in enumerate(body.artifacts)]
        await self._read()
        await release(self.session)
        user_id = self.caller.user_id
        entries = [
            await store_run_artifact(
                self.store,
                self.run,
                NewArtifact(item.name, content, item.content_type or "", item.type, item.source, user_id),
            )
            for item, content in zip(body.artifacts, contents, strict=True)
        ]
        return artifacts_out(self.run, await self._enter(entries))

    async def presign_download(self, storage_path: str) -> SignedUrlOut:
        """Return a signed URL to download the file. For an hour, the URL works without an API key."""
        entry = _find(await self._read(), "storage_path", storage_path)
        if entry is None:
            raise ArtifactNotFound
        return {"url": await self._sign(entry), "expires_in": int(DOWNLOAD_LIFETIME.total_seconds())}

    async def sign_download(self, artifact_id: str) -> str:
        """Return a signed URL to download the file, dismissed or not, as `presign_download` does."""
        entry = _find(await self._read(), "id", artifact_id)
        if entry is None:
            raise NotFound
        return await self._sign(entry)

    async def _sign(self, entry: ManifestEntry) -> str:
        await release(self.session)
        file = _downloadable(entry)
        return await self.store.urls.download(
            file.storage_path,
            disposition=file.disposition,
            content_type=file.content_type,
            lifetime=DOWNLOAD_LIFETIME,
        )

    async def dismiss(self, body: DismissIn) -> list[RunArtifactOut]:
        """Mark files as dismissed, once each, or unmark them, all or none; return the whole manifest."""
        manifest = await self._read(lock=True)
        ids = set(body.artifact_ids)
        if not ids <= {entry.get("id") for entry in manifest}:
            raise ArtifactNotFound
        changed = [
            _dismissed(entry, is_dismissed=body.dismissed) if entry.get("id") in ids else entry
            for entry in manifest
        ]
        await self._write(manifest, changed)
        return artifacts_out(self.run, changed)

    async def find_download(self, storage_path: str) -> DownloadableFile:
        """Return the file with this storage path for download, from the run or one that it resumes (contract 9.2)."""
        await self._read()
        chain = resume_chain(self.run.task_id, self.run.run_id, Run.artifacts)
        entry = manifest_entry(chain.c.artifacts)
        statement = (
            select(entry)
            .select_from(chain)
            .where(entry["storage_path"].astext == storage_path)
            .order_by(chain.c.depth)
            .limit(1)
        )
        found: ManifestEntry | None = await self.session.scalar(statement)
        if found is None:
            raise ArtifactNotFound
        return _downloadable(found)

    async def _read(self, *, lock: bool = False) -> list[ManifestEntry]:
        visible = visible_run(self.caller, self.run.task_id, self.run.run_id)
        statement = select(Run.artifacts).join(Task, Task.id == Run.task_id).where(visible)
        if lock:
            statement = statement.with_for_update(of=Run, key_share=True)
        manifest: list[ManifestEntry] | None = await self.session.scalar(statement)
        if manifest is None:
            raise NotFound
        return manifest

    async def _enter(self, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
        manifest = await self._read(lock=True)
        known = {entry["storage_path"]: entry for entry in manifest}
        merged = known.copy()
        for entry in entries:
            path = entry["storage_path"]
            merged[path] = {**known[path], "size": entry["size"]} if path in known else entry
        if len(merged) > max(_MAX_ARTIFACTS, len(manifest)):
            raise StateRefused(f"A run has at most {_MAX_ARTIFACTS} artifacts")
        result = list(merged.values())
        await self._write(manifest, result)
        await record_artifacts(
            self.session, self.run.run_id, [entry for path, entry in merged.items() if path not in known]
        )
        return result

    async def _write(self, before: Sequence[ManifestEntry], after: Sequence[ManifestEntry]) -> None:
        if before != after:
            changed = update(Run).where(Run.id == self.run.run_id)
            await self.session.execute(changed.values(artifacts=after, updated_at=utcnow()))


def _find(
    manifest: Sequence[ManifestEntry], key: Literal["id", "storage_path"], value: str
) -> ManifestEntry | None:
    return next((entry for entry in manifest if entry.get(key) == value), None)


def _dismissed(entry: ManifestEntry, *, is_dismissed: bool) -> ManifestEntry:
    entry = entry.copy()
    if is_dismissed:
        entry.setdefault("dismissed_at", utcnow().isoformat())
    else:
        entry.pop("dismissed_at", None)
    return entry


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
    # The store sends this type with signed URLs. A client has named it, so it may be any text.
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


async def add_artifact(session: AsyncSession, run_id: UUID, entry: ManifestEntry) -> bool:
    """Add a stored file to the manifest of a run, once; return False if that has no room for it."""
    is_known = Run.artifacts.contains([{"id": entry["id"]}])
    artifacts = manifest_with([entry])
    has_room = func.jsonb_array_length(artifacts) <= _MAX_ARTIFACTS
    added = update(Run).where(Run.id == run_id, ~is_known, has_room)
    if await count_changed(session, added.values(artifacts=artifacts, updated_at=utcnow())):
        await record_artifacts(session, run_id, [entry])
        return True
    return bool(await session.scalar(select(is_known).where(Run.id == run_id)))


def manifest_with(entries: Sequence[ArtifactOut]) -> ColumnElement[list[ManifestEntry]]:
    """Return the SQL expression for a run's manifest with more entries; an output replaces the worker's of its name."""
    names = [entry["name"] for entry in entries if entry.get("type") == ArtifactType.OUTPUT]
    parameters = literal({"names": names}, Run.artifacts.type)
    kept = func.jsonb_path_query_array(Run.artifacts, _OTHERS, parameters, type_=Run.artifacts.type)
    return kept.op("||")(literal(list(entries), Run.artifacts.type))


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
