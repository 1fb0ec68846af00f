"""Object storage on S3, over aioboto3.

URLs and forms for clients are signed for the public host (contract 8.2); the service itself talks to the internal
one. What needs the library is in `s3_objects.py` and loaded with the first call that does: loading it takes as long as
starting a web framework, and an API that only shows URLs never needs it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Self

from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from typing_extensions import override

from app.clients.object_store import (
    URL_LIFETIME,
    ListedObject,
    ObjectContent,
    ObjectInfo,
    ObjectStoreUnavailable,
    SignedForm,
    Storage,
)
from app.clients.s3_signing import UrlSigner
from app.clock import utcnow
from app.config import Settings

if TYPE_CHECKING:
    from app.clients.s3_objects import S3Objects

__all__ = ["S3Store"]

_URL_REUSED_FOR = timedelta(minutes=55)
_URLS_KEPT = 20_000
_CHECK_SECONDS = 5.0
_CHECK_LIFETIME = timedelta(minutes=5)


class S3Store(Storage):
    """An S3 bucket; an async context manager that owns its connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._loading = asyncio.Lock()
        self._objects: S3Objects | None = None
        self._urls: OrderedDict[str, tuple[str, datetime]] = OrderedDict()
        self._internal = _signer(settings, settings.s3_endpoint_url)
        self._public = _signer(settings, settings.s3_signing_endpoint_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def objects(self) -> "S3Objects":
        """Return what reads and writes objects, loaded and opened at the first call."""
        if self._objects is None:
            async with self._loading:
                if self._objects is None:
                    opened = await asyncio.to_thread(_load, self._settings)
                    self._objects = await self._stack.enter_async_context(opened)
        return self._objects

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        objects = await self.objects()
        await objects.put(key, body, content_type=content_type, tags=tags)

    @override
    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        objects = await self.objects()
        await objects.extend(key, size, tail, content_type=content_type, tags=tags)

    @override
    async def head(self, key: str) -> ObjectInfo | None:
        return await (await self.objects()).head(key)

    @override
    @asynccontextmanager
    async def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AsyncGenerator[ObjectContent, None]:
        objects = await self.objects()
        async with objects.open(key, byte_range=byte_range, if_match=if_match) as content:
            yield content

    @override
    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        await (await self.objects()).tag(key, tags)

    @override
    async def signed_url(self, key: str) -> str:
        now = utcnow()
        known = self._urls.get(key)
        if known is not None and now - known[1] < _URL_REUSED_FOR:
            return known[0]
        url = (
            self._public.sign(key, URL_LIFETIME)
            if self._public
            else await (await self.objects()).signed_url(key)
        )
        self._urls[key] = (url, now)
        self._urls.move_to_end(key)
        if len(self._urls) > _URLS_KEPT:
            self._urls.popitem(last=False)
        return url

    @override
    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        if self._public is None:
            objects = await self.objects()
            return await objects.signed_download(
                key, disposition=disposition, content_type=content_type, lifetime=lifetime
            )
        overrides = {"response-content-disposition": disposition, "response-content-type": content_type}
        return self._public.sign(key, lifetime, parameters=overrides)

    @override
    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        return await (await self.objects()).signed_form(key, max_bytes=max_bytes, lifetime=lifetime)

    @override
    async def check(self) -> None:
        if self._internal is None:
            await (await self.objects()).check()
            return
        url = self._internal.sign("", _CHECK_LIFETIME, method="HEAD")
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                status = await asyncio.to_thread(_head, url)
        except (HTTPClientError, TimeoutError):
            # Without the error's own words: they quote the URL.
            raise ObjectStoreUnavailable("could not reach the object store") from None
        if status != HTTPStatus.OK:
            raise ObjectStoreUnavailable(f"could not find the bucket: HTTP {status}")

    @override
    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        async for page in (await self.objects()).pages(prefix):
            yield page

    @override
    async def delete(self, keys: Sequence[str]) -> int:
        return await (await self.objects()).delete(keys)

    @override
    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        return await (await self.objects()).write_lifecycle(days)


def _signer(settings: Settings, endpoint: str | None) -> UrlSigner | None:
    """Return what signs for a host; None where only the library can find out the host or the key (on Amazon)."""
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.s3_endpoint_url is None or endpoint is None or key_id is None or secret is None:
        return None
    return UrlSigner(endpoint, settings.s3_bucket, region=settings.s3_region, key_id=key_id, secret=secret)


def _head(url: str) -> int:
    """Return the status that a HEAD is answered with, by what signing brings with it: asked for now and then only."""
    session = URLLib3Session(timeout=_CHECK_SECONDS, proxies=get_environ_proxies(url))
    try:
        return int(session.send(AWSRequest(method="HEAD", url=url).prepare()).status_code)
    finally:
        session.close()


def _load(settings: Settings) -> "S3Objects":
    from app.clients.s3_objects import S3Objects  # noqa: PLC0415 - see above: the library is dear

    return S3Objects(settings)
