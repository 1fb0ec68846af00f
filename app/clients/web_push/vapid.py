"""The VAPID key, by which browsers' push services identify this server (RFC 8292)."""

import base64
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from py_vapid import Vapid02
from pydantic import SecretStr

from app.clock import utcnow

_TOKEN_LIFETIME_SECONDS = 12 * 3600


class VapidKey:
    """The private key with which this server identifies itself to push services of browsers (VAPID, RFC 8292)."""

    def __init__(self, private_key: SecretStr) -> None:
        self._vapid = Vapid02.from_raw(private_key.get_secret_value().encode())

    @classmethod
    def generate(cls) -> SecretStr:
        """Return a new private key as text, as the settings expect it: 32 bytes in base64url."""
        vapid = Vapid02()
        vapid.generate_keys()
        number = vapid.private_key.private_numbers().private_value
        return SecretStr(base64url(number.to_bytes(32, "big")))

    @property
    def public_key(self) -> str:
        """The public key in base64url. A browser needs it to subscribe (`applicationServerKey`)."""
        point = self._vapid.public_key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return base64url(point)

    def headers(self, endpoint: str, *, subject: str) -> dict[str, str]:
        """Return the headers that identify this server to a push service for twelve hours."""
        address = urlsplit(endpoint)
        claims = {
            "sub": subject,
            "aud": f"{address.scheme}://{address.netloc}",
            "exp": int(utcnow().timestamp()) + _TOKEN_LIFETIME_SECONDS,
        }
        headers: dict[str, str] = self._vapid.sign(claims)
        return headers


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
