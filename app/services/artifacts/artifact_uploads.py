"""Sign upload forms and measure uploaded files, for staged files and for files of a run (contract 8.2)."""

import asyncio
import mimetypes
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import TableValuedColumn

from app.api_limits import FILE_BYTES, PDF_BYTES
from app.clients.storage.bucket import TTL_TAG
from app.clients.storage.object_store import ObjectInfo, ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable
from app.clients.storage.storage_keys import ArtifactFolder, safe_name
from app.clock import utcnow
from app.enums import ArtifactType
from app.errors import InvalidInput, StateRefused
from app.ids import new_hex_id
from app.models import Run
from app.models.base import AnyColumn
from app.schemas.staged_artifacts import ArtifactOut, FinalizeItem, PreparedOut, PrepareItem, PresignedPost

# The most parallel calls of the store for one request.
PARALLEL_CALLS = 10
# A file is refused this long before the sweep may remove it, so that it never removes one that was just accepted.
SWEEP_MARGIN = timedelta(hours=1)
_TAG_SECONDS = 3.0

log = structlog.get_logger(__name__)

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

# Overhead of a multipart form; finalising measures the file itself (contract 8.2).
FORM_OVERHEAD = 64 * 1024
FORM_LIFETIME = timedelta(seconds=3600)
DOWNLOAD_LIFETIME = timedelta(seconds=3600)
STAGED_LIFETIME = timedelta(hours=24)
# The age at which an upload without a reference may be removed.
UNCLAIMED_LIFETIME = timedelta(hours=24)

_PDF = "application/pdf"
_OCTETS = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
# Types that a browser displays without executing content.
_SHOWN_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"})

# Without the tables of the machine, so that types are the same on every worker.
_TYPES = mimetypes.MimeTypes()
for _suffix in (".patch", ".diff", ".log", ".toml", ".yaml", ".yml"):
    _TYPES.add_type("text/plain", _suffix)
_TYPES.add_type("application/jsonl", ".jsonl")
_TYPES.add_type("text/markdown", ".md")


def tags(days: int, project_id: int) -> dict[str, str]:
    return {TTL_TAG: str(days), "team_id": str(project_id)}


def size_error(name: str, size: int, *, type_: str, content_type: str) -> str | None:
    """Return the error message if a file is larger than the limit for its kind; None if it is not."""
    is_named_pdf = name.lower().endswith(".pdf")
    is_pdf = is_named_pdf or _media_type(content_type) == _PDF
    limit = PDF_BYTES if is_pdf and type_ == ArtifactType.USER_ATTACHMENT else FILE_BYTES
    if size <= limit:
        return None
    of_pdfs = " for PDFs in cloud runs" if is_named_pdf and limit == PDF_BYTES else ""
    return f"{name} exceeds the {limit // 2**20}MB attachment limit{of_pdfs}"


def guess_content_type(name: str) -> str:
    guessed, encoding = _TYPES.guess_type(name, strict=False)
    return guessed if guessed and encoding is None else _OCTETS


def served_content_type(content_type: str) -> str:
    """Return the Content-Type header for the download of a file with this declared media type."""
    media_type = _media_type(content_type)
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else _OCTETS


def content_disposition(name: str, content_type: str) -> str:
    """Return the Content-Disposition header for the download of a file of any name (RFC 6266)."""
    kind = "inline" if served_content_type(content_type) in _SHOWN_INLINE else "attachment"
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\%/' else "_" for character in name
    )
    header = f'{kind}; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name.encode(errors='replace'), safe='')}"
    return header


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def manifest_entry(artifacts: AnyColumn) -> TableValuedColumn[object]:
    """Return the SQL expression for an entry of a run's manifest; a query with it has a row for each entry."""
    return func.jsonb_array_elements(artifacts, type_=JSONB).column_valued("entry", joins_implicitly=True)


async def attached_paths(
    session: AsyncSession, task_ids: Collection[UUID], paths: Collection[str]
) -> frozenset[str]:
    """Return which of these storage paths the manifest of a run of these tasks names."""
    path = manifest_entry(Run.artifacts)["storage_path"].astext
    attached = select(path).select_from(Run).where(Run.task_id.in_(task_ids), path.in_(paths))
    return frozenset(await session.scalars(attached))


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file: the item of the request that names it, and the stored object's size in bytes and media type."""

    item: FinalizeItem
    size: int
    content_type: str

    def entry(self, uploaded_at: datetime) -> ArtifactOut:
        return {
            "id": self.item.id,
            "name": safe_name(self.item.name),
            "type": self.item.type,
            "source": self.item.source,
            "size": self.size,
            "content_type": self.content_type,
            "storage_path": self.item.storage_path,
            "uploaded_at": uploaded_at.isoformat(),
        }


def require_sizes(items: Sequence[PrepareItem]) -> None:
    for index, item in enumerate(items):
        error = size_error(item.name, item.size, type_=item.type, content_type=item.content_type or "")
        if error is not None:
            raise InvalidInput(error, attr=f"artifacts__{index}__size")


async def prepare_uploads(
    store: ObjectStore, items: Sequence[PrepareItem], folder: ArtifactFolder
) -> list[PreparedOut]:
    """Return a signed upload form for each file, with a new id and a new storage path. Nothing is stored."""
    return [await _prepare(store, item, folder) for item in items]


async def _prepare(store: ObjectStore, item: PrepareItem, folder: ArtifactFolder) -> PreparedOut:
    artifact_id = new_hex_id()
    key = folder.key(artifact_id, item.name)
    return {
        "id": artifact_id,
        "name": safe_name(item.name),
        "type": item.type,
        "source": item.source,
        "size": item.size,
        "content_type": item.content_type or "",
        "storage_path": key,
        "expires_in": int(FORM_LIFETIME.total_seconds()),
        "presigned_post": await _sign(store, key, item.size + FORM_OVERHEAD),
    }


async def _sign(store: ObjectStore, key: str, max_bytes: int) -> PresignedPost:
    try:
        form = await store.urls.form(key, max_bytes=max_bytes, lifetime=FORM_LIFETIME)
    except ObjectStoreUnavailable as error:
        log.warning("artifact.not_signed", error=repr(error))
        raise StateRefused("Unable to generate upload URL") from error
    return {"url": form.url, "fields": form.fields}


async def measure_uploads(
    store: ObjectStore,
    items: Sequence[FinalizeItem],
    folder: ArtifactFolder,
    *,
    claimed: Collection[str],
) -> list[Upload]:
    """Return the size and media type of each uploaded file, in the order of `items` (contract 5.9)."""
    # The store is asked only for items before the first wrong path, since only the first failure is reported.
    asked = []
    for item in items:
        if not folder.holds(item.storage_path, item.id):
            break
        asked.append(item)
    found = await for_each((item.storage_path for item in asked), store.head)
    uploads = [
        _measure(item, info, is_claimed=item.storage_path in claimed)
        for item, info in zip(asked, found, strict=True)
    ]
    if len(asked) < len(items):
        raise StateRefused(
            f"Artifact storage path is invalid for this {'run' if folder.is_of_run else 'task'}"
        )
    return uploads


def _measure(item: FinalizeItem, info: ObjectInfo | None, *, is_claimed: bool) -> Upload:
    if info is None or not (is_claimed or info.modified_at > utcnow() - UNCLAIMED_LIFETIME + SWEEP_MARGIN):
        raise StateRefused("Artifact upload not found in object storage")
    if info.size is None:
        raise StateRefused("Artifact upload metadata is unavailable")
    content_type = item.content_type or info.content_type
    error = size_error(safe_name(item.name), info.size, type_=item.type, content_type=content_type)
    if error is not None:
        raise StateRefused(error)
    return Upload(item, info.size, content_type[:255])


async def tag_objects(store: ObjectStore, keys: Iterable[str], tags: Mapping[str, str]) -> None:
    """Set `tags` on the objects with these keys in the object store. Failures are only logged."""

    async def tag(key: str) -> None:
        try:
            await store.tag(key, tags)
        except (ObjectMissing, ObjectStoreUnavailable) as error:
            log.warning("artifact.not_tagged", key=key, error=repr(error))

    try:
        async with asyncio.timeout(_TAG_SECONDS):
            await for_each(dict.fromkeys(keys), tag)
    except TimeoutError:
        log.warning("artifact.not_tagged", error="no answer in time")


async def for_each(items: Iterable[_Item], call: Callable[[_Item], Awaitable[_Answer]]) -> list[_Answer]:
    """Return what `call` returns for each item, in their order; some calls run in parallel."""
    places = asyncio.Semaphore(PARALLEL_CALLS)

    async def one(item: _Item) -> _Answer:
        async with places:
            return await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as failures:
        # The first failure has cancelled the other calls, so that an outage costs one time limit, not one per file.
        raise failures.exceptions[0] from None
    return [call.result() for call in calls]
