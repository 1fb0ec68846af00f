"""Object storage as the service sees it, and its one implementation on S3.

URLs for clients are signed for the public host (contract 8.2); the service itself talks to the internal one.
"""

from collections import OrderedDict
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import override

from app.clock import utcnow
from app.config import Settings

__all__ = ["LOG_TAGS", "ObjectStore", "ObjectStoreUnavailable", "S3Store"]

_URL_LIFETIME = timedelta(hours=1)
_URL_REUSED_FOR = timedelta(minutes=55)
_URLS_KEPT = 20_000

# Bucket lifecycle rules act on this tag (contract 8.3).
LOG_TAGS = {"ttl_days": "30"}


class ObjectStoreUnavailable(Exception):  # noqa: N818 - named for what happened
    """The store did not answer, or refused; the same call may work in a moment."""


class ObjectStore(Protocol):
    """Where logs and artifacts are kept."""

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: dict[str, str]) -> None:
        """Store an object whole, from memory or from a file, replacing one of the same key."""
        ...

    async def signed_url(self, key: str) -> str:
        """Return a GET URL valid for an hour; the same one for 55 minutes, so that clients may cache."""
        ...

    async def check(self) -> None:
        """Return if the bucket answers.

        Raises:
            ObjectStoreUnavailable: it does not.

        """
        ...


class S3Store(ObjectStore):
    """An S3 bucket over aioboto3; an async context manager that owns its connections."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
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
                max_pool_connections=50,
            ),
        }
        self._stack = AsyncExitStack()
        self._urls: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    async def __aenter__(self) -> Self:
        session = aioboto3.Session()
        self._client = await self._stack.enter_async_context(
            session.client("s3", endpoint_url=self._internal, **self._options)
        )
        self._signer = await self._stack.enter_async_context(
            session.client("s3", endpoint_url=self._public, **self._options)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: dict[str, str]) -> None:
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "ContentType": content_type,
            "Tagging": "&".join(f"{quote(name)}={quote(value)}" for name, value in tags.items()),
        }
        try:
            if isinstance(body, bytes):
                await self._client.put_object(Body=body, **request)
            else:
                with body.open("rb") as file:  # noqa: ASYNC230 - aiobotocore reads it in chunks while sending
                    await self._client.put_object(Body=file, **request)
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable(f"could not store {key}") from error

    @override
    async def signed_url(self, key: str) -> str:
        now = utcnow()
        known = self._urls.get(key)
        if known is not None and now - known[1] < _URL_REUSED_FOR:
            return known[0]
        url: str = await self._signer.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": key},
            ExpiresIn=int(_URL_LIFETIME.total_seconds()),
        )
        self._urls[key] = (url, now)
        self._urls.move_to_end(key)
        if len(self._urls) > _URLS_KEPT:
            self._urls.popitem(last=False)
        return url

    @override
    async def check(self) -> None:
        try:
            await self._client.head_bucket(Bucket=self._bucket)
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable("the bucket does not answer") from error
