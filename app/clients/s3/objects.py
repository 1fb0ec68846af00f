"""Read and write objects in S3 through aioboto3."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import (
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from typing_extensions import override

from app.clients.object_store import (
    ObjectFiles,
    ObjectMissing,
    ObjectStoreUnavailable,
    ObjectTooShort,
    RangeNotSatisfiable,
)
from app.clients.s3.connection import RESPONSE_SECONDS, STREAMS, S3Connection
from app.clients.s3.failures import failures, status_of
from app.clients.stored_objects import ObjectContent, ObjectInfo
from app.config import Settings

_SLOWEST_UPLOAD = 1024 * 1024  # bytes a second
# The smallest part that S3 accepts, except for the last one.
_SMALLEST_PART = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_PRECONDITION_FAILED = 412


class S3Objects(S3Connection, ObjectFiles):
    """Reads, writes and tags the objects of an S3 bucket."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._streams = asyncio.Semaphore(STREAMS)

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        request = {
            "Bucket": self.bucket,
            "Key": key,
            "ContentType": content_type,
            "Tagging": urlencode(tags),
        }
        # A file that the worker has just written to a local disk.
        size = len(body) if isinstance(body, bytes) else body.stat().st_size  # noqa: ASYNC240
        client = (await self.clients()).internal
        with failures(f"store {key}", writes=True):
            async with asyncio.timeout(RESPONSE_SECONDS + size / _SLOWEST_UPLOAD):
                if isinstance(body, bytes):
                    await client.put_object(Body=body, **request)
                else:
                    with body.open("rb") as file:
                        await client.put_object(Body=file, **request)

    @override
    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        if size < _SMALLEST_PART:
            # Too small for a part: read it and join it here.
            kept = await self._read_start(key, size) if size else b""
            await self.put(key, kept + tail, content_type=content_type, tags=tags)
            return
        # Stores answer differently if a part to copy ends after the object, so they are not asked for it.
        await self._require_size(key, size)
        target = {"Bucket": self.bucket, "Key": key}
        client = (await self.clients()).internal
        with failures(f"extend {key}", of_object=True, writes=True):
            async with asyncio.timeout(RESPONSE_SECONDS + (size + len(tail)) / _SLOWEST_UPLOAD):
                upload = await client.create_multipart_upload(
                    **target, ContentType=content_type, Tagging=urlencode(tags)
                )
                target["UploadId"] = upload["UploadId"]
                try:
                    parts = [
                        await self._copy_part(client, target, size),
                        await self._send_part(client, target, tail),
                    ]
                    await client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
                except BaseException:
                    # Best effort: parts of an unfinished upload are never part of the object.
                    with suppress(Exception):
                        async with asyncio.timeout(RESPONSE_SECONDS):
                            await client.abort_multipart_upload(**target)
                    raise

    async def _copy_part(self, client: Any, target: Mapping[str, str], size: int) -> dict[str, Any]:
        copied = await client.upload_part_copy(
            **target,
            PartNumber=1,
            CopySource={"Bucket": target["Bucket"], "Key": target["Key"]},
            CopySourceRange=f"bytes=0-{size - 1}",
        )
        return {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}

    async def _send_part(self, client: Any, target: Mapping[str, str], tail: bytes) -> dict[str, Any]:
        sent = await client.upload_part(**target, PartNumber=2, Body=tail)
        return {"PartNumber": 2, "ETag": sent["ETag"]}

    async def _require_size(self, key: str, size: int) -> None:
        info = await self.head(key)
        if info is None:
            raise ObjectMissing(key)
        if (info.size or 0) < size:
            raise ObjectTooShort(key)

    async def _read_start(self, key: str, size: int) -> bytes:
        try:
            async with self.open(key, byte_range=f"bytes=0-{size - 1}") as content:
                start = b"".join([chunk async for chunk in content.chunks])
        except RangeNotSatisfiable as error:
            # An empty object.
            raise ObjectTooShort(key) from error
        if len(start) < size:
            raise ObjectTooShort(key)
        return start

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        client = (await self.clients()).internal
        try:
            with failures(f"look up {key}", of_object=True):
                async with asyncio.timeout(RESPONSE_SECONDS):
                    answer = await client.head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return None
        return ObjectInfo(
            size=answer.get("ContentLength"),
            content_type=answer.get("ContentType", ""),
            modified_at=answer["LastModified"],
        )

    @override
    @asynccontextmanager
    async def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AsyncGenerator[ObjectContent, None]:
        request = {"Bucket": self.bucket, "Key": key}
        if byte_range is not None:
            request["Range"] = byte_range
            if if_match is not None:
                request["IfMatch"] = if_match
        client = (await self.clients()).internal
        async with self._stream():
            with failures(f"read {key}", of_object=True):
                async with asyncio.timeout(RESPONSE_SECONDS):
                    answer = await self._get(client, request)
            body = answer["Body"]
            # Not `as`: the context manager returns the bare response, without the check of the length.
            async with body:
                yield ObjectContent(
                    size=answer["ContentLength"],
                    content_range=answer.get("ContentRange"),
                    etag=answer.get("ETag", ""),
                    chunks=_chunks(key, body),
                )

    @asynccontextmanager
    async def _stream(self) -> AsyncGenerator[None, None]:
        """Hold one of the slots for open reads, so that slow readers cannot take every connection."""
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                await self._streams.acquire()
        except TimeoutError:
            raise ObjectStoreUnavailable("too many objects are being read") from None
        try:
            yield
        finally:
            self._streams.release()

    async def _get(self, client: Any, request: dict[str, str]) -> Any:
        try:
            return await client.get_object(**request)
        except ClientError as error:
            if status_of(error) != _PRECONDITION_FAILED:
                raise
            # Another version than the one the reader has a part of: return the whole object (RFC 9110, 13.1.5).
            return await client.get_object(Bucket=request["Bucket"], Key=request["Key"])

    @override
    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
        client = (await self.clients()).internal
        with failures(f"tag {key}", of_object=True):
            async with asyncio.timeout(RESPONSE_SECONDS):
                await client.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": pairs})


async def _chunks(key: str, body: Any) -> AsyncIterator[bytes]:
    with failures(f"read {key}"):
        async for chunk in body.iter_chunks(_CHUNK_BYTES):
            yield chunk
