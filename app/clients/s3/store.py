"""Object storage on S3, through aioboto3.

URLs and forms for clients are signed for the public host (contract 8.2); the service itself uses the internal
one. Only reading, writing and listing objects (`objects.py`, `bucket.py`) load all of aioboto3; signing and the
health check do not.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from typing_extensions import override

from app.clients.object_store import URL_LIFETIME, ObjectStoreUnavailable, Storage
from app.clients.s3.bucket import S3Bucket
from app.clients.s3.failures import failures
from app.clients.s3.objects import S3Objects
from app.clients.s3.signing import UrlSigner
from app.clients.stored_objects import SignedForm
from app.clock import utcnow
from app.config import Settings

_URL_REUSED_FOR = timedelta(minutes=55)
_URLS_KEPT = 20_000
_CHECK_SECONDS = 5.0
_CHECK_LIFETIME = timedelta(minutes=5)


class S3Store(S3Objects, S3Bucket, Storage):
    """An object store in an S3 bucket. An async context manager, which closes the connections when its block ends."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._urls: OrderedDict[str, tuple[str, datetime]] = OrderedDict()
        self._internal = _signer(settings, settings.s3_endpoint_url)
        self._public = _signer(settings, settings.s3_signing_endpoint_url)

    @override
    async def signed_url(self, key: str) -> str:
        now = utcnow()
        known = self._urls.get(key)
        if known is not None and now - known[1] < _URL_REUSED_FOR:
            return known[0]
        url = await self._sign(key, URL_LIFETIME, {})
        self._urls[key] = (url, now)
        self._urls.move_to_end(key)
        if len(self._urls) > _URLS_KEPT:
            self._urls.popitem(last=False)
        return url

    @override
    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        overrides = {"response-content-disposition": disposition, "response-content-type": content_type}
        return await self._sign(key, lifetime, overrides)

    async def _sign(self, key: str, lifetime: timedelta, overrides: Mapping[str, str]) -> str:
        if self._public is not None:
            return self._public.sign(key, lifetime, parameters=overrides)
        return await self.sign_by_library(key, lifetime, overrides)

    async def sign_by_library(self, key: str, lifetime: timedelta, overrides: Mapping[str, str]) -> str:
        """Return a URL to GET an object, signed by the library aioboto3 and valid for `lifetime`.

        `overrides` are further query parameters, by name. S3 sets the headers of its response from them, for example
        Content-Type from `response-content-type`.
        """
        names = {name: name.title().replace("-", "") for name in overrides}
        clients = await self.clients()
        with failures(f"sign a URL of {key}"):
            url: str = await clients.public.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.bucket,
                    "Key": key,
                    **{names[name]: value for name, value in overrides.items()},
                },
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return url

    @override
    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        clients = await self.clients()
        with failures(f"sign a form for {key}"):
            form = await clients.public.generate_presigned_post(
                self.bucket,
                key,
                Conditions=[["content-length-range", 0, max_bytes]],
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return SignedForm(url=form["url"], fields=form["fields"])

    @override
    async def check(self) -> None:
        if self._internal is None:
            clients = await self.clients()
            with failures("find the bucket"):
                async with asyncio.timeout(_CHECK_SECONDS):
                    await clients.internal.head_bucket(Bucket=self.bucket)
            return
        url = self._internal.sign("", _CHECK_LIFETIME, method="HEAD")
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                status = await asyncio.to_thread(_head, url)
        except (HTTPClientError, TimeoutError):
            # Without the error's own message, which contains the URL.
            raise ObjectStoreUnavailable("could not reach the object store") from None
        if status != HTTPStatus.OK:
            raise ObjectStoreUnavailable(f"could not find the bucket: HTTP {status}")


def _signer(settings: Settings, endpoint: str | None) -> UrlSigner | None:
    """Return the URL signer for an S3 host.

    None if only the library can find out the host or the key (on Amazon).
    """
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.s3_endpoint_url is None or endpoint is None or key_id is None or secret is None:
        return None
    return UrlSigner(endpoint, settings.s3_bucket, region=settings.s3_region, key_id=key_id, secret=secret)


def _head(url: str) -> int:
    """Send a HEAD request and return its status.

    For rare calls, with the HTTP library that comes with signing.
    """
    session = URLLib3Session(timeout=_CHECK_SECONDS, proxies=get_environ_proxies(url))
    try:
        return int(session.send(AWSRequest(method="HEAD", url=url).prepare()).status_code)
    finally:
        session.close()
