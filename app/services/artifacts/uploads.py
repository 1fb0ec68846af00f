"""Sign upload forms and measure uploaded files, for staged files and for files of a run (contract 8.2)."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.clients.object_store import (
    ObjectInfo,
    ObjectMissing,
    ObjectStore,
    ObjectStoreUnavailable,
    SignedForm,
)
from app.clock import utcnow
from app.errors import InvalidInput, StateRefused
from app.ids import new_hex_id
from app.schemas.staged_artifacts import FinalizeItem, PreparedOut, PrepareItem
from app.services.artifacts.rules import FORM_LIFETIME, FORM_OVERHEAD, UNCLAIMED_LIFETIME, size_error
from app.services.storage_keys import safe_name

# Parallel calls of one request to the store.
PARALLEL_CALLS = 10
_NOT_FOUND = "Artifact upload not found in object storage"
# Finalising refuses an upload this long before the sweep may remove it.
_MARGIN = timedelta(hours=1)
_TAG_SECONDS = 3.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file: the item of the request that names it, and the stored object's size in bytes and media type."""

    item: FinalizeItem
    size: int
    content_type: str

    @property
    def name(self) -> str:
        """The name of the file as the API shows it."""
        return safe_name(self.item.name)


def require_sizes(items: Sequence[PrepareItem]) -> None:
    """Check the announced sizes of files against the limits for their types (contract 6.1)."""
    for index, item in enumerate(items):
        error = size_error(item.name, item.size, type_=item.type, content_type=item.content_type or "")
        if error is not None:
            raise InvalidInput(error, attr=f"artifacts__{index}__size")


async def prepare_uploads(
    store: ObjectStore, items: Sequence[PrepareItem], key_of: Callable[[str, str], str]
) -> list[PreparedOut]:
    """Return a signed upload form for each file, with a new id and a new storage path. Nothing is stored."""
    return [await _prepare(store, item, key_of) for item in items]


async def _prepare(store: ObjectStore, item: PrepareItem, key_of: Callable[[str, str], str]) -> PreparedOut:
    artifact_id = new_hex_id()
    key = key_of(artifact_id, item.name)
    form = await _sign(store, key, item.size + FORM_OVERHEAD)
    return {
        "id": artifact_id,
        "name": safe_name(item.name),
        "type": item.type,
        "source": item.source,
        "size": item.size,
        "content_type": item.content_type or "",
        "storage_path": key,
        "expires_in": int(FORM_LIFETIME.total_seconds()),
        "presigned_post": {"url": form.url, "fields": form.fields},
    }


async def _sign(store: ObjectStore, key: str, max_bytes: int) -> SignedForm:
    try:
        return await store.signed_form(key, max_bytes=max_bytes, lifetime=FORM_LIFETIME)
    except ObjectStoreUnavailable as error:
        log.warning("artifact.not_signed", error=repr(error))
        raise StateRefused("Unable to generate upload URL") from error


async def measure_uploads(
    store: ObjectStore,
    items: Sequence[FinalizeItem],
    *,
    is_path: Callable[[FinalizeItem], bool],
    wrong_path: str,
    claimed: Collection[str],
) -> list[Upload]:
    """Return the size and media type of each uploaded file, in the order of `items` (contract 5.9)."""
    # Items after the first wrong path cannot be the first failure.
    asked = []
    for item in items:
        if not is_path(item):
            break
        asked.append(item)
    found = await _heads(store, [item.storage_path for item in asked])
    uploads = [
        _measure(item, info, is_claimed=item.storage_path in claimed)
        for item, info in zip(asked, found, strict=True)
    ]
    if len(asked) < len(items):
        raise StateRefused(wrong_path)
    return uploads


def _measure(item: FinalizeItem, info: ObjectInfo | None, *, is_claimed: bool) -> Upload:
    if info is None or not (is_claimed or info.modified_at > utcnow() - UNCLAIMED_LIFETIME + _MARGIN):
        raise StateRefused(_NOT_FOUND)
    if info.size is None:
        raise StateRefused("Artifact upload metadata is unavailable")
    content_type = item.content_type or info.content_type
    error = size_error(safe_name(item.name), info.size, type_=item.type, content_type=content_type)
    if error is not None:
        raise StateRefused(error)
    return Upload(item, info.size, content_type[:255])


async def _heads(store: ObjectStore, keys: Sequence[str]) -> list[ObjectInfo | None]:
    places = asyncio.Semaphore(PARALLEL_CALLS)

    async def head(key: str) -> ObjectInfo | None:
        async with places:
            return await store.head(key)

    try:
        async with asyncio.TaskGroup() as group:
            heads = [group.create_task(head(key)) for key in keys]
    except ExceptionGroup as failures:
        # The first failure cancels the other calls: an outage costs one time limit, not one per file.
        raise failures.exceptions[0] from None
    return [head.result() for head in heads]


async def tag_objects(store: ObjectStore, keys: Iterable[str], tags: Mapping[str, str]) -> None:
    """Set `tags` on the objects with these keys in the object store. Failures are only logged."""
    places = asyncio.Semaphore(PARALLEL_CALLS)

    async def one(key: str) -> None:
        async with places:
            try:
                await store.tag(key, tags)
            except (ObjectMissing, ObjectStoreUnavailable) as error:
                log.warning("artifact.not_tagged", key=key, error=repr(error))

    try:
        async with asyncio.timeout(_TAG_SECONDS):
            await asyncio.gather(*(one(key) for key in dict.fromkeys(keys)))
    except TimeoutError:
        log.warning("artifact.not_tagged", error="no answer in time")
