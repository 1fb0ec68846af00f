"""Objects in S3, through aioboto3.

Errors of the library become those of `object_store.py`. Small calls have a time limit of seconds, so that an outage
becomes an error and not a hanging request.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from app.clients.object_store import (
    TTL_TAG,
    ListedObject,
    ObjectContent,
    ObjectInfo,
    ObjectMissing,
    ObjectStoreUnavailable,
    RangeNotSatisfiable,
    Storage,
)
from app.config import Settings

if TYPE_CHECKING:
    from app.clients.s3.clients import S3Clients

_ANSWER_SECONDS = 5.0
_SLOWEST_UPLOAD = 1024 * 1024  # bytes a second
_STREAMS = 100
# Open downloads hold a connection each; some must remain for small calls.
_CONNECTIONS = _STREAMS + 50
# The smallest part that S3 accepts, except for the last one.
_SMALLEST_PART = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_RULE_PREFIX = "taskbeacon-ttl-"
_NOT_FOUND = 404
_NOT_SATISFIABLE = 416
_PRECONDITION_FAILED = 412


class S3Objects(Storage):
    """The objects of a bucket; an async context manager that owns its connections.

    The library is loaded at the first call that needs it, in a thread (`clients.py`).
    """

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._settings = settings
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._clients: S3Clients | None = None
        self._streams = asyncio.Semaphore(_STREAMS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def is_loaded(self) -> bool:
        """Whether the library is loaded and its clients are open."""
        return self._clients is not None

    async def clients(self) -> "S3Clients":
        """Return the clients of the library, opened at the first call."""
        async with self._opening:
            if self._clients is None:
                opened = await asyncio.to_thread(_load, self._settings)
                self._clients = await self._stack.enter_async_context(opened)
        return self._clients

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
        with failures(f"store {key}"):
            async with asyncio.timeout(_ANSWER_SECONDS + size / _SLOWEST_UPLOAD):
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
            kept = await self._read(key, size) if size else b""
            await self.put(key, kept + tail, content_type=content_type, tags=tags)
            return
        target = {"Bucket": self.bucket, "Key": key}
        client = (await self.clients()).internal
        with failures(f"extend {key}", of_object=True):
            async with asyncio.timeout(_ANSWER_SECONDS + (size + len(tail)) / _SLOWEST_UPLOAD):
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
                        async with asyncio.timeout(_ANSWER_SECONDS):
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

    async def _read(self, key: str, size: int) -> bytes:
        async with self.open(key, byte_range=f"bytes=0-{size - 1}") as content:
            return b"".join([chunk async for chunk in content.chunks])

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        client = (await self.clients()).internal
        try:
            with failures(f"look up {key}", of_object=True):
                async with asyncio.timeout(_ANSWER_SECONDS):
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
                async with asyncio.timeout(_ANSWER_SECONDS):
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
            async with asyncio.timeout(_ANSWER_SECONDS):
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
            if _status(error) != _PRECONDITION_FAILED:
                raise
            # Another version than the one the reader has a part of: return the whole object (RFC 9110, 13.1.5).
            return await client.get_object(Bucket=request["Bucket"], Key=request["Key"])

    @override
    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
        client = (await self.clients()).internal
        with failures(f"tag {key}", of_object=True):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await client.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": pairs})

    @override
    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        client = (await self.clients()).internal
        while True:
            with failures(f"list {prefix}"):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    page = await client.list_objects_v2(**request)
            yield [
                ListedObject(key=item["Key"], size=item["Size"], modified_at=item["LastModified"])
                for item in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    @override
    async def delete(self, keys: Sequence[str]) -> int:
        objects = [{"Key": key} for key in keys]
        client = (await self.clients()).internal
        with failures("remove objects"):
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
        return len(keys) - len(answer.get("Errors", ()))

    @override
    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        ours = [_rule(number) for number in days]
        client = (await self.clients()).internal
        with failures("write the bucket's rules"):
            async with asyncio.timeout(_ANSWER_SECONDS):
                present = await self._rules(client)
                foreign = [rule for rule in present if not rule.get("ID", "").startswith(_RULE_PREFIX)]
                wanted = {rule["ID"]: rule["Expiration"]["Days"] for rule in ours}
                if wanted == {
                    rule["ID"]: rule.get("Expiration", {}).get("Days")
                    for rule in present
                    if rule not in foreign
                }:
                    return False
                await client.put_bucket_lifecycle_configuration(
                    Bucket=self.bucket, LifecycleConfiguration={"Rules": [*foreign, *ours]}
                )
        return True

    async def _rules(self, client: Any) -> list[dict[str, Any]]:
        try:
            answer = await client.get_bucket_lifecycle_configuration(Bucket=self.bucket)
        except ClientError as error:
            if _status(error) == _NOT_FOUND:
                return []
            raise
        rules: list[dict[str, Any]] = answer.get("Rules", [])
        return rules


def _rule(days: int) -> dict[str, Any]:
    return {
        "ID": f"{_RULE_PREFIX}{days}",
        "Status": "Enabled",
        "Filter": {"Tag": {"Key": TTL_TAG, "Value": str(days)}},
        "Expiration": {"Days": days},
    }


async def _chunks(key: str, body: Any) -> AsyncIterator[bytes]:
    with failures(f"read {key}"):
        async for chunk in body.iter_chunks(_CHUNK_BYTES):
            yield chunk


@contextmanager
def failures(what: str, *, of_object: bool = False) -> Iterator[None]:
    """Translate errors of the library; "not found" means the object only if `of_object`, else the bucket."""
    try:
        yield
    except ClientError as error:
        if of_object and _status(error) == _NOT_FOUND:
            raise ObjectMissing(what) from error
        if _status(error) == _NOT_SATISFIABLE:
            raise RangeNotSatisfiable(what) from error
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except (BotoCoreError, TimeoutError) as error:
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except Exception as error:
        from aiohttp import ClientError as HttpError  # noqa: PLC0415 - part of the library that is loaded late

        if isinstance(error, HttpError):
            raise ObjectStoreUnavailable(f"could not {what}") from error
        raise


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _load(settings: Settings) -> AbstractAsyncContextManager["S3Clients"]:
    from app.clients.s3.clients import open_clients  # noqa: PLC0415 - see there

    return open_clients(settings, connections=_CONNECTIONS)
