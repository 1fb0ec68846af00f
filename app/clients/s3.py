"""S3 by its library: clients of aioboto3, and signed URLs without them.

Only `open_clients` loads aioboto3, which takes 0.2 s and 25 MB (ADR 72).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from pydantic import SecretStr
from typing_extensions import override

from app.config import Settings

# The most objects that are read at the same time.
STREAMS = 100
_SERVICE = "s3"


class _Signature(S3SigV4QueryAuth):  # type: ignore[misc] # the library has no types
    """The library's signature of a URL, from a given time on instead of from now on."""

    def __init__(self, *settings: Any, expires: int, at: datetime | None) -> None:
        super().__init__(*settings, expires=expires)
        self._at = at

    @override
    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        # The first step that reads the time, behind the one that sets it.
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


def send_head(url: str, seconds: float) -> int:
    """Send a HEAD request by the HTTP library that comes with signing, and return the status. Blocks."""
    session = URLLib3Session(timeout=seconds, proxies=get_environ_proxies(url))
    try:
        return int(session.send(AWSRequest(method="HEAD", url=url).prepare()).status_code)
    finally:
        session.close()


class S3Clients(NamedTuple):
    """Two clients of aioboto3: one for requests to the S3 server, one that signs for the host that clients reach."""

    internal: Any
    public: Any


def open_clients(settings: Settings, attempts: int) -> AbstractAsyncContextManager[S3Clients]:
    """Load aioboto3, and return a context manager that opens its clients. Blocks: it reads files."""
    import aioboto3  # noqa: PLC0415 - takes 0.2 s and 25 MB
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - as above
    from aiobotocore.session import get_session  # noqa: PLC0415 - as above

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
            connect_timeout=2,
            read_timeout=20,
            retries={"max_attempts": attempts, "mode": "standard"},
            # Open downloads hold a connection each; some must remain for small calls.
            max_pool_connections=STREAMS + 50,
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
