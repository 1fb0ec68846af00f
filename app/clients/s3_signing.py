"""Sign URLs that give access to objects in S3 (AWS Signature Version 4, in the query).

Signed with the library's own algorithm but without its client: that takes a tenth of the time, and a process
that only signs does not load the rest of the library. The URLs are identical
(tests/clients/test_s3_signing.py).
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from pydantic import SecretStr

_SERVICE = "s3"


class UrlSigner:
    """Signs URLs for one S3 bucket on the server at the URL `endpoint`."""

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
    ) -> str:
        """Return a signed URL for a request about one object."""
        url = f"{self._bucket_url}/{quote(key, safe='/~')}" if key else self._bucket_url
        if parameters:
            url += f"?{urlencode(parameters, quote_via=quote, safe='-._~')}"
        request = AWSRequest(method=method, url=url)
        S3SigV4QueryAuth(
            self._credentials, _SERVICE, self._region, expires=int(lifetime.total_seconds())
        ).add_auth(request)
        signed: str = request.url
        return signed
