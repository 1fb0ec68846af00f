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
    """Return a new secret of a webhook endpoint; it is shown once and stored encrypted."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def live_secrets(
    encrypted: str, encrypted_old: Mapping[str, str], cipher: Cipher, *, now: datetime
) -> list[str]:
    """Decrypt the secrets that sign an endpoint's messages now: the current one, and valid replaced ones.

    Raises:
        DecryptionError: no key of the service decrypts one of them.

    """
    return [cipher.decrypt(secret) for secret in (encrypted, *still_valid(encrypted_old, now).values())]


def still_valid(encrypted_old: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the replaced secrets of an endpoint that still sign, by the time at which they stop.

    The last to stop comes first.
    """
    return {
        until: encrypted_old[until]
        for until in sorted(encrypted_old, reverse=True)
        if datetime.fromisoformat(until) > now
    }


def signed_headers(message_id: str, body: str, keys: Sequence[str], *, now: datetime) -> dict[str, str]:
    """Return the headers that sign a webhook message: its id, the time, and a signature by each key."""
    timestamp = int(now.timestamp())
    # The library ignores the time zone: the time must be in UTC.
    at = datetime.fromtimestamp(timestamp, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, at, body) for key in keys),
    }
