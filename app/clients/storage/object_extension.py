"""Extend stored objects, such as the log of a run."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlencode

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import (
    ObjectMissing,
    ObjectStoreUnavailable,
    ObjectTooShort,
    RangeNotSatisfiable,
)
from app.clients.storage.s3_connection import failures

# The smallest part that S3 accepts, except for the last one.
_SMALLEST_PART = 5 * 1024 * 1024


async def extend_object(
    store: ObjectStore, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
) -> None:
    """Replace the object under `key` by its first `size` bytes followed by `tail`, atomically for readers.

    S3 cannot append: the store copies the start, and only the end is sent. Callers need a lock. After an error with
    `may_be_applied` the store may still replace the object.
    """
    if size < _SMALLEST_PART:
        # Too small for a part: read it and join it here.
        start = await _read_start(store, key, size) if size else b""
        await store.put(key, start + tail, content_type=content_type, tags=tags)
        return
    # Stores answer differently if a part to copy ends after the object, so they are not asked for it.
    info = await store.head(key)
    if info is None:
        raise ObjectMissing(key)
    if (info.size or 0) < size:
        raise ObjectTooShort(key)
    target = {"Bucket": store.s3.name, "Key": key}
    async with store.s3.calling(
        f"extend {key}", size=size + len(tail), of_object=True, writes=True
    ) as client:
        upload = await client.create_multipart_upload(
            **target, ContentType=content_type, Tagging=urlencode(tags)
        )
        part = {**target, "UploadId": upload["UploadId"]}
        try:
            copied = await client.upload_part_copy(
                **part, PartNumber=1, CopySource=target, CopySourceRange=f"bytes=0-{size - 1}"
            )
            added = await client.upload_part(**part, PartNumber=2, Body=tail)
            etags = (copied["CopyPartResult"]["ETag"], added["ETag"])
            parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
            await client.complete_multipart_upload(**part, MultipartUpload={"Parts": parts})
        except BaseException:
            # Best effort: parts of an unfinished upload are never part of the object.
            with suppress(ObjectStoreUnavailable, OSError), failures(f"give up {key}"):
                async with asyncio.timeout(store.s3.seconds):
                    await client.abort_multipart_upload(**part)
            raise


async def _read_start(store: ObjectStore, key: str, size: int) -> bytes:
    try:
        async with store.open(key, byte_range=f"bytes=0-{size - 1}") as content:
            start = b"".join([chunk async for chunk in content.chunks])
    except RangeNotSatisfiable:
        start = b""  # of an empty object
    if len(start) < size:
        raise ObjectTooShort(key)
    return start
