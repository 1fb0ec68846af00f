"""The object store: files and logs in an S3 bucket (contract 8)."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import structlog
from botocore.exceptions import ClientError

from app.clients.storage.bucket import KEPT_DAYS, TTL_TAG, Bucket
from app.clients.storage.object_store_errors import ObjectMissing, ObjectTooShort, RangeNotSatisfiable
from app.clients.storage.s3_connection import SMALL_CALL_SECONDS, STREAMS, S3Connection, failures, status_of
from app.clients.storage.signed_urls import SignedUrls
from app.config import Settings

LOG_TAGS = {TTL_TAG: str(KEPT_DAYS)}

# The smallest part that S3 accepts, except for the last one.
_SMALLEST_PART = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of a stored object. `size` is in bytes; None if the store does not report it."""

    size: int | None
    content_type: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """An object, or the part `content_range` of one, opened for reading `size` bytes."""

    size: int
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]


class ObjectStore:
    """An S3 bucket; its context closes the connections. Every method may raise ObjectStoreUnavailable.

    `urls` signs URLs of objects, and `bucket` is the bucket as a whole.
    A call takes at most `seconds`, and longer by what it sends; a request that gets no answer is sent `attempts` times.
    At most `streams` objects are read at the same time, each by its own connection; small calls have others.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seconds: float = SMALL_CALL_SECONDS,
        attempts: int = 2,
        streams: int = STREAMS,
    ) -> None:
        self._s3 = S3Connection(settings, seconds=seconds, attempts=attempts, streams=streams)
        self.urls = SignedUrls(settings, self._s3.clients)
        self.bucket = Bucket(self._s3)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._s3.close()

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        """Store bytes, or the content of a file, as an object. It replaces the object that already has this key."""
        request = {**self._s3.target(key), "ContentType": content_type, "Tagging": urlencode(tags)}
        size = len(body) if isinstance(body, bytes) else body.stat().st_size  # noqa: ASYNC240 - a local file
        async with self._s3.calling(f"store {key}", size=size, writes=True) as client:
            with nullcontext(body) if isinstance(body, bytes) else body.open("rb") as content:
                await client.put_object(Body=content, **request)

    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        """Replace the object under `key` by its first `size` bytes followed by `tail`, atomically for readers.

        S3 cannot append: the store copies the start, and only the end is sent. Callers need a lock. After an error with
        `may_be_applied` the store may still replace the object.
        """
        if size < _SMALLEST_PART:
            # Too small for a part: read it and join it here.
            start = await self._read_start(key, size) if size else b""
            await self.put(key, start + tail, content_type=content_type, tags=tags)
            return
        # Stores differ in their answer to a copy beyond the end of the object, so its size is checked first.
        info = await self.head(key)
        if info is None:
            raise ObjectMissing(key)
        if (info.size or 0) < size:
            raise ObjectTooShort(key)
        await self._s3.copy_and_add(key, size, tail, content_type=content_type, tags=tags)

    async def _read_start(self, key: str, size: int) -> bytes:
        try:
            async with self.open(key, byte_range=f"bytes=0-{size - 1}") as content:
                start = b"".join([chunk async for chunk in content.chunks])
        except RangeNotSatisfiable:
            start = b""  # of an empty object
        if len(start) < size:
            raise ObjectTooShort(key)
        return start

    async def head(self, key: str) -> ObjectInfo | None:
        try:
            async with self._s3.calling(f"look up {key}", of_object=True) as client:
                answer = await client.head_object(**self._s3.target(key))
        except ObjectMissing:
            return None
        return ObjectInfo(
            size=answer.get("ContentLength"),
            content_type=answer.get("ContentType", ""),
            modified_at=answer["LastModified"],
        )

    @asynccontextmanager
    async def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AsyncGenerator[ObjectContent, None]:
        """Open an object, or its HTTP `byte_range` while it has the ETag `if_match`; may raise RangeNotSatisfiable."""
        target = self._s3.target(key)
        conditions = {"Range": byte_range, "IfMatch": if_match}
        request = target | {name: value for name, value in conditions.items() if value is not None}
        async with self._s3.reading():
            async with self._s3.calling(f"read {key}", of_object=True) as client:
                try:
                    answer = await client.get_object(**request)
                except ClientError as error:
                    if status_of(error) != HTTPStatus.PRECONDITION_FAILED:
                        raise
                    # The reader has a part of another version: send the whole object (RFC 9110, 13.1.5).
                    answer = await client.get_object(**target)
            body = answer["Body"]
            # Not `as`: the context manager returns the bare response, without the check of the length.
            async with body:
                yield ObjectContent(
                    size=answer["ContentLength"],
                    content_range=answer.get("ContentRange"),
                    etag=answer.get("ETag", ""),
                    chunks=_chunks(key, body),
                )

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace all tags of a stored object; raise ObjectMissing if there is none."""
        pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
        async with self._s3.calling(f"tag {key}", of_object=True) as client:
            await client.put_object_tagging(**self._s3.target(key), Tagging={"TagSet": pairs})

    async def delete(self, keys: Sequence[str]) -> int:
        """Delete the objects under at most 1000 keys; return how many of these keys have no object afterwards."""
        objects = [{"Key": key} for key in keys]
        async with self._s3.calling("remove objects") as client:
            answer = await client.delete_objects(
                Bucket=self._s3.name, Delete={"Objects": objects, "Quiet": True}
            )
        if left := answer.get("Errors", ()):
            log.warning("object_store.not_deleted", count=len(left), code=left[0].get("Code"))
        return len(keys) - len(left)


async def _chunks(key: str, body: Any) -> AsyncIterator[bytes]:
    with failures(f"read {key}"):
        async for chunk in body.iter_chunks(_CHUNK_BYTES):
            yield chunk
