"""Open the clients of aioboto3, bound their calls, and raise their errors as our own.

Only `open_clients` loads aioboto3, which takes 0.2 s and 25 MB (ADR 72).
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from botocore.exceptions import ConnectionError as NotConnected

from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable, RangeNotSatisfiable
from app.config import Settings

# The time limit of small calls, so that an outage becomes an error and not a hanging request.
SMALL_CALL_SECONDS = 5.0
_SLOWEST_UPLOAD = 1024 * 1024  # bytes a second
_CONNECT_SECONDS = 2
_READ_SECONDS = 20  # of each piece of an answer
STREAMS = 100
_SMALL_CALLS = 50


class S3Clients(NamedTuple):
    """Two clients of aioboto3: one for requests to the S3 server, one that signs for the host that clients reach."""

    internal: Any
    public: Any


def open_clients(settings: Settings, attempts: int, streams: int) -> AbstractAsyncContextManager[S3Clients]:
    """Load aioboto3, and return a context manager that opens its clients. Blocks: it reads files."""
    import aioboto3
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    library = get_session()
    for description in ("service-2", "endpoint-rule-set-1"):
        library.get_component("data_loader").load_service_model("s3", description)
    session = aioboto3.Session(botocore_session=library)
    secret = settings.s3_secret_access_key
    options: dict[str, Any] = {
        "aws_access_key_id": settings.s3_access_key_id,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
        "region_name": settings.s3_region,
        "config": AioConfig(
            signature_version="s3v4",
            # Servers other than Amazon's use the bucket in the path, not in the host name.
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"max_attempts": attempts, "mode": "standard"},
            max_pool_connections=streams + _SMALL_CALLS,
        ),
    }

    @asynccontextmanager
    async def opened() -> AsyncGenerator[S3Clients, None]:
        async with (
            session.client("s3", endpoint_url=settings.s3_endpoint_url, **options) as internal,
            session.client("s3", endpoint_url=settings.s3_signing_endpoint_url, **options) as public,
        ):
            yield S3Clients(internal, public)

    return opened()


@contextmanager
def failures(what: str, *, of_object: bool = False, writes: bool = False) -> Iterator[None]:
    """Turn exceptions of the S3 library into ours: 404 means missing `of_object`, else a failure of the store."""
    try:
        yield
    except ClientError as error:
        # Only the upload is missing: a store may answer so to the repetition of the request that has completed it.
        has_vanished = error.response.get("Error", {}).get("Code") == "NoSuchUpload"
        if of_object and status_of(error) == HTTPStatus.NOT_FOUND and not has_vanished:
            raise ObjectMissing(what) from error
        if status_of(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise RangeNotSatisfiable(what) from error
        # A gateway may answer 5xx while the server still writes; the library may have repeated an unanswered request.
        is_repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
        may_be_applied = is_repeated or status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise ObjectStoreUnavailable(f"could not {what}", may_be_applied=writes and may_be_applied) from error
    except NotConnected as error:
        # The server cannot be reached, so it is not performing an earlier try of the library either.
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except (BotoCoreError, TimeoutError, _http_error()) as error:
        raise ObjectStoreUnavailable(f"could not {what}", may_be_applied=writes) from error


def _http_error() -> type[Exception]:
    from aiohttp import ClientError as HttpError

    return HttpError


def status_of(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


class S3Connection:
    """The connections to a bucket, opened at the first call. A small call takes at most `seconds`."""

    def __init__(self, settings: Settings, *, seconds: float, attempts: int, streams: int) -> None:
        self.name = settings.s3_bucket
        self.settings = settings
        self.seconds = seconds
        self._open = partial(open_clients, settings, attempts, streams)
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._streams = asyncio.Semaphore(streams)
        self._clients: S3Clients | None = None

    def target(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": key}

    async def close(self) -> None:
        await self._stack.aclose()

    async def clients(self) -> S3Clients:
        """Return the clients of aioboto3. The first call loads the library and opens them."""
        if self._clients is None:
            # Without an access key in the settings, the library asks other servers for credentials.
            with failures("open a client"):
                async with asyncio.timeout(self.seconds), self._opening:
                    if self._clients is None:
                        opened = await asyncio.to_thread(self._open)
                        self._clients = await self._stack.enter_async_context(opened)
        return self._clients

    @asynccontextmanager
    async def calling(
        self, what: str, *, size: int = 0, of_object: bool = False, writes: bool = False
    ) -> AsyncGenerator[Any, None]:
        client = (await self.clients()).internal
        with failures(what, of_object=of_object, writes=writes):
            async with asyncio.timeout(self.seconds + size / _SLOWEST_UPLOAD):
                yield client

    async def copy_and_add(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        target = self.target(key)
        async with self.calling(
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
                    async with asyncio.timeout(self.seconds):
                        await client.abort_multipart_upload(**part)
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None, None]:
        # A limit of its own, so that slow readers cannot take every connection.
        try:
            async with asyncio.timeout(self.seconds):
                await self._streams.acquire()
        except TimeoutError:
            raise ObjectStoreUnavailable("too many objects are being read") from None
        try:
            yield
        finally:
            self._streams.release()
