"""Signed URLs, which open an object without a key, and forms, which store one (contract 8)."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from pydantic import SecretStr
from typing_extensions import override

from app.clients.storage.s3_connection import S3Clients, failures
from app.clock import utcnow
from app.config import Settings
from app.ids import new_hex_id

# How long the URL of an object is valid.
URL_LIFETIME = timedelta(hours=1)
# All URLs change at the same moments, so that every process has the same ones.
_URL_PERIOD_SECONDS = 55 * 60
_URLS_KEPT = 20_000
_SERVICE = "s3"


class SignedForm(NamedTuple):
    """Where to POST an upload, and the form fields to send before the file."""

    url: str
    fields: dict[str, str]


class SignedUrls:
    """Signs URLs on the host that clients reach. `clients` opens aioboto3, for what only the library can sign."""

    def __init__(self, settings: Settings, clients: Callable[[], Awaitable[S3Clients]]) -> None:
        self._bucket = settings.s3_bucket
        self._clients = clients
        self._id = new_hex_id()
        self._urls: dict[tuple[str, int], str] = {}
        self._signer = create_signer(settings, settings.s3_signing_endpoint_url)

    def period(self) -> str:
        """Return the name of the current 55 minutes, in which `of` returns the same URL for an object."""
        # The library signs URLs that are valid from now on, so each process has its own URLs, and its own periods.
        return f"{_period()}" if self._signer is not None else f"{_period()} {self._id}"

    async def of(self, key: str) -> str:
        """Return a URL to GET an object, valid for at least five minutes and the same for 55, for caches."""
        period = _period()
        url = self._urls.get((key, period))
        if url is None:
            start = datetime.fromtimestamp(period * _URL_PERIOD_SECONDS, UTC)
            url = self._urls[key, period] = await self._sign(key, URL_LIFETIME, {}, at=start)
            if len(self._urls) > _URLS_KEPT:
                del self._urls[next(iter(self._urls))]
        return url

    async def download(self, key: str, *, disposition: str, content_type: str, lifetime: timedelta) -> str:
        overrides = {"response-content-disposition": disposition, "response-content-type": content_type}
        return await self._sign(key, lifetime, overrides)

    async def _sign(
        self, key: str, lifetime: timedelta, overrides: Mapping[str, str], *, at: datetime | None = None
    ) -> str:
        if self._signer is not None:
            return self._signer.sign(key, lifetime, parameters=overrides, at=at)
        return await self.sign_by_library(key, lifetime, overrides)

    async def sign_by_library(self, key: str, lifetime: timedelta, overrides: Mapping[str, str]) -> str:
        """Return a URL to GET an object, signed by aioboto3, with `overrides` as further query parameters."""
        parameters = {name.title().replace("-", ""): value for name, value in overrides.items()}
        clients = await self._clients()
        with failures(f"sign a URL of {key}"):
            url: str = await clients.public.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": key, **parameters},
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return url

    async def form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        """Return a form with which a client can upload an object, and replace it until the form expires."""
        clients = await self._clients()
        with failures(f"sign a form for {key}"):
            form = await clients.public.generate_presigned_post(
                self._bucket,
                key,
                Conditions=[["content-length-range", 0, max_bytes]],
                ExpiresIn=int(lifetime.total_seconds()),
            )
        return SignedForm(form["url"], form["fields"])


def _period() -> int:
    return int(utcnow().timestamp() // _URL_PERIOD_SECONDS)


class _Signature(S3SigV4QueryAuth):  # type: ignore[misc] # the library has no types
    """The library's signature of a URL, from a given time on instead of from now on."""

    def __init__(self, *settings: object, expires: int, at: datetime | None) -> None:
        super().__init__(*settings, expires=expires)
        self._at = at

    @override
    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        # The library has just set this timestamp to now, and reads it here for the first time.
        if self._at is not None:
            request.context["timestamp"] = f"{self._at:%Y%m%dT%H%M%SZ}"
        super()._modify_request_before_signing(request)


class UrlSigner:
    """Signs URLs by the library's algorithm without its client, in a tenth of the time."""

    def __init__(self, endpoint: str, bucket: str, *, region: str, key_id: str, secret: SecretStr) -> None:
        self._bucket_url = f"{endpoint.rstrip('/')}/{bucket}"
        self._region = region
        self._credentials = ReadOnlyCredentials(key_id, secret.get_secret_value(), None)

    def sign(
        self,
        key: str,
        lifetime: timedelta,
        *,
        method: str = "GET",
        parameters: Mapping[str, str] | None = None,
        at: datetime | None = None,
    ) -> str:
        """Return a signed URL for a request about one object, valid for `lifetime` from `at` on, or from now on."""
        url = f"{self._bucket_url}/{quote(key, safe='/~')}" if key else self._bucket_url
        if parameters:
            url += f"?{urlencode(parameters, quote_via=quote, safe='-._~')}"
        request = AWSRequest(method=method, url=url)
        _Signature(
            self._credentials, _SERVICE, self._region, expires=int(lifetime.total_seconds()), at=at
        ).add_auth(request)
        signed: str = request.url
        return signed


def create_signer(settings: Settings, endpoint: str | None) -> UrlSigner | None:
    """Return the signer of URLs on `endpoint`; None if only the library knows the key or the endpoint."""
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if settings.s3_endpoint_url is None or endpoint is None or key_id is None or secret is None:
        return None
    return UrlSigner(endpoint, settings.s3_bucket, region=settings.s3_region, key_id=key_id, secret=secret)
