"""Make the secrets of webhook endpoints, and sign messages with them (Standard Webhooks 1.0.0)."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from app.security import Cipher

HINT_LENGTH = 4
_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a new random secret that signs the messages of a webhook endpoint, as text that begins with `whsec_`."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def live_secrets(
    encrypted: str, encrypted_old: Mapping[str, str], cipher: Cipher, *, now: datetime
) -> list[str]:
    """Decrypt the secrets that sign an endpoint's messages at `now`: the current one, then valid replaced ones.

    Args:
        encrypted: the current secret.
        encrypted_old: the replaced secrets, by the ISO 8601 time at which each stops signing.
        cipher: decrypts them.
        now: the present time.

    Raises:
        DecryptionError: no key of the service decrypts one of the secrets.

    """
    return [cipher.decrypt(secret) for secret in (encrypted, *still_valid(encrypted_old, now).values())]


def still_valid(encrypted_old: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the replaced secrets of an endpoint that still sign messages at `now`, still encrypted.

    Argument and result are mappings from the ISO 8601 time at which a secret stops signing to the secret. The latest
    time comes first in the result.
    """
    return {
        until: encrypted_old[until]
        for until in sorted(encrypted_old, reverse=True)
        if datetime.fromisoformat(until) > now
    }


def signed_headers(message_id: str, body: str, keys: Sequence[str], *, now: datetime) -> dict[str, str]:
    """Return the HTTP headers that sign a webhook message: its id, the time `now`, and one signature by each key.

    `keys` are decrypted secrets of the endpoint.
    """
    timestamp = int(now.timestamp())
    # The library ignores the time zone: the time must be in UTC.
    at = datetime.fromtimestamp(timestamp, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, at, body) for key in keys),
    }
