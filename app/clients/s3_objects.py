"""Objects in S3, through aioboto3. Loaded by `s3.py` at the first need for it, since it is the dearest of all libraries.

Whatever the library raises leaves as one of the errors of `object_store.py`. Small calls must be answered within
seconds, so that an outage becomes an answer and not a hanging request.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from app.clients.object_store import (
    TTL_TAG,
    URL_LIFETIME,
    ListedObject,
    ObjectContent,
    ObjectInfo,
    ObjectMissing,
    ObjectStoreUnavailable,
    RangeNotSatisfiable,
    SignedForm,
    Storage,
)
from app.config import Settings

__all__ = ["S3Objects"]

_ANSWER_SECONDS = 5.0
_SLOWEST_UPLOAD = 1024 * 1024  # bytes a second
# S3 takes no smaller part than this, but for the last one.
_SMALLEST_PART = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_STREAMS = 100
_RULE_PREFIX = "taskbeacon-ttl-"
_NOT_FOUND = 404
_NOT_SATISFIABLE = 416
_PRECONDITION_FAILED = 412


class S3Objects(Storage):
    """The objects of a bucket; an async context manager that owns its connections.

    Made in a thread: it reads the library's description of S3 from disk, for a tenth of a second.
    """

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._internal = settings.s3_endpoint_url
        self._public = settings.s3_signing_endpoint_url
        secret = settings.s3_secret_access_key
        self._options: dict[str, Any] = {
            "aws_access_key_id": settings.s3_access_key_id,
            "aws_secret_access_key": secret.get_secret_value() if secret else None,
            "region_name": settings.s3_region,
            "config": AioConfig(
                signature_version="s3v4",
                # Servers other than Amazon's are reached by path, not by a host name per bucket.
                s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
                connect_timeout=2,
                read_timeout=20,
                retries={"max_attempts": 2, "mode": "standard"},
                # Open downloads hold a connection each; there must be some left for the small calls.
                max_pool_connections=_STREAMS + 50,
            ),
        }
        library = get_session()
        for description in ("service-2", "endpoint-rule-set-1"):
            library.get_component("data_loader").load_service_model("s3", description)
        self._session = aioboto3.Session(botocore_session=library)
        self._stack = AsyncExitStack()
        self._streams = asyncio.Semaphore(_STREAMS)

    async def __aenter__(self) -> Self:
        self.client = await self._stack.enter_async_context(
            self._session.client("s3", endpoint_url=self._internal, **self._options)
        )
        self._signer = await self._stack.enter_async_context(
            self._session.client("s3", endpoint_url=self._public, **self._options)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        request = {
            "Bucket": self.bucket,
            "Key": key,
            "ContentType": content_type,
            "Tagging": urlencode(tags),
        }
        # Of a file that a worker has just written to a local disk.
        size = len(body) if isinstance(body, bytes) else body.stat().st_size  # noqa: ASYNC240
        with _failures(f"store {key}"):
            async with asyncio.timeout(_ANSWER_SECONDS + size / _SLOWEST_UPLOAD):
                if isinstance(body, bytes):
                    await self.client.put_object(Body=body, **request)
                else:
                    with body.open("rb") as file:
                        await self.client.put_object(Body=file, **request)

    @override
    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        if size < _SMALLEST_PART:
            # Too little for a part: read and put together here.
            kept = await self._read(key, size) if size else b""
            await self.put(key, kept + tail, content_type=content_type, tags=tags)
            return
        target = {"Bucket": self.bucket, "Key": key}
        with _failures(f"extend {key}", of_object=True):
            async with asyncio.timeout(_ANSWER_SECONDS + (size + len(tail)) / _SLOWEST_UPLOAD):
                upload = await self.client.create_multipart_upload(
                    **target, ContentType=content_type, Tagging=urlencode(tags)
                )
                target["UploadId"] = upload["UploadId"]
                try:
                    parts = [await self._copy_part(target, size), await self._send_part(target, tail)]
                    await self.client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
                except BaseException:
                    # As far as the store answers; what it keeps of the upload is never part of the object.
                    with suppress(Exception):
                        async with asyncio.timeout(_ANSWER_SECONDS):
                            await self.client.abort_multipart_upload(**target)
                    raise

    async def _copy_part(self, target: Mapping[str, str], size: int) -> dict[str, Any]:
        copied = await self.client.upload_part_copy(
            **target,
            PartNumber=1,
            CopySource={"Bucket": target["Bucket"], "Key": target["Key"]},
            CopySourceRange=f"bytes=0-{size - 1}",
        )
        return {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}

    async def _send_part(self, target: Mapping[str, str], tail: bytes) -> dict[str, Any]:
        sent = await self.client.upload_part(**target, PartNumber=2, Body=tail)
        return {"PartNumber": 2, "ETag": sent["ETag"]}

    async def _read(self, key: str, size: int) -> bytes:
        async with self.open(key, byte_range=f"bytes=0-{size - 1}") as content:
            return b"".join([chunk async for chunk in content.chunks])

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        try:
            with _failures(f"look up {key}", of_object=True):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await self.client.head_object(Bucket=self.bucket, Key=key)
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
        async with self._stream():
            with _failures(f"read {key}", of_object=True):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await self._get(request)
            body = answer["Body"]
            # What it enters is the bare response, without the check of the length.
            async with body:
                yield ObjectContent(
                    size=answer["ContentLength"],
                    content_range=answer.get("ContentRange"),
                    etag=answer.get("ETag", ""),
                    chunks=_chunks(key, body),
                )

    @asynccontextmanager
    async def _stream(self) -> AsyncGenerator[None, None]:
        """Hold one of the places for open reads, so that slow readers cannot take every connection."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._streams.acquire()
        except TimeoutError:
            raise ObjectStoreUnavailable("too many objects are being read") from None
        try:
            yield
        finally:
            self._streams.release()

    async def _get(self, request: dict[str, str]) -> Any:
        try:
            return await self.client.get_object(**request)
        except ClientError as error:
            if _status(error) != _PRECONDITION_FAILED:
                raise
            # Another version than the reader has a part of: it gets the whole (RFC 9110, 13.1.5).
            return await self.client.get_object(Bucket=request["Bucket"], Key=request["Key"])

    @override
    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        pairs = [{"Key": name, "Value": value} for name, value in tags.items()]
        with _failures(f"tag {key}", of_object=True):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.client.put_object_tagging(Bucket=self.bucket, Key=key, Tagging={"TagSet": pairs})

    @override
    async def signed_url(self, key: str) -> str:
        return await self._sign(key, URL_LIFETIME)

    @override
    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        return await self._sign(
            key, lifetime, ResponseContentDisposition=disposition, ResponseContentType=content_type
        )

    async def _sign(self, key: str, lifetime: timedelta, **overrides: str) -> str:
        with _failures(f"sign a URL of {key}"):
            url: str = await self._signer.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.bucket, "Key": key, **overrides},
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return url

    @override
    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        with _failures(f"sign a form for {key}"):
            form = await self._signer.generate_presigned_post(
                self.bucket,
                key,
                Conditions=[["content-length-range", 0, max_bytes]],
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return SignedForm(url=form["url"], fields=form["fields"])

    @override
    async def check(self) -> None:
        with _failures("find the bucket"):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self.client.head_bucket(Bucket=self.bucket)

    @override
    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
        while True:
            with _failures(f"list {prefix}"):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    page = await self.client.list_objects_v2(**request)
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
        with _failures("remove objects"):
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
                )
        return len(keys) - len(answer.get("Errors", ()))

    @override
    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        ours = [_rule(number) for number in days]
        with _failures("write the bucket's rules"):
            async with asyncio.timeout(_ANSWER_SECONDS):
                present = await self._rules()
                foreign = [rule for rule in present if not rule.get("ID", "").startswith(_RULE_PREFIX)]
                wanted = {rule["ID"]: rule["Expiration"]["Days"] for rule in ours}
                if wanted == {
                    rule["ID"]: rule.get("Expiration", {}).get("Days")
                    for rule in present
                    if rule not in foreign
                }:
                    return False
                await self.client.put_bucket_lifecycle_configuration(
                    Bucket=self.bucket, LifecycleConfiguration={"Rules": [*foreign, *ours]}
                )
        return True

    async def _rules(self) -> list[dict[str, Any]]:
        try:
            answer = await self.client.get_bucket_lifecycle_configuration(Bucket=self.bucket)
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
    with _failures(f"read {key}"):
        async for chunk in body.iter_chunks(_CHUNK_BYTES):
            yield chunk


@contextmanager
def _failures(what: str, *, of_object: bool = False) -> Iterator[None]:
    """Sort what the library raises into what callers can act on; elsewhere "not found" speaks of the bucket."""
    try:
        yield
    except ClientError as error:
        if of_object and _status(error) == _NOT_FOUND:
            raise ObjectMissing(what) from error
        if _status(error) == _NOT_SATISFIABLE:
            raise RangeNotSatisfiable(what) from error
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError) as error:
        raise ObjectStoreUnavailable(f"could not {what}") from error


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
