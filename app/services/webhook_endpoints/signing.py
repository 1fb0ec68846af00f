"""Make the secrets of webhook endpoints, and sign messages with them (Standard Webhooks 1.0.0)."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from app.clients.webhooks.sender import SignedMessage
from app.clock import utcnow
from app.security import Cipher

HINT_LENGTH = 4
_PREFIX = "whsec_"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a webhook endpoint: its id, and its JSON body with one event or a test.

    It also has the URL that it is sent to, and the decrypted secrets that sign it.
    """

    id: UUID
    url: str
    body: str
    secrets: tuple[str, ...] = field(repr=False)


def new_secret() -> str:
    """Return a new random secret for signing the messages of a webhook endpoint, as text that begins with `whsec_`."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def live_secrets(
    encrypted: str, encrypted_old: Mapping[str, str], cipher: Cipher, *, now: datetime
) -> list[str]:
    """Return the decrypted secrets that sign an endpoint's messages at `now`: the current one, then replaced ones.

    Args:
        encrypted: the current secret, encrypted.
        encrypted_old: the replaced secrets, encrypted, by the ISO 8601 time at which each stops signing.
        cipher: decrypts the secrets.
        now: the present time.

    Raises:
        DecryptionError: no key of the service decrypts one of the secrets.

    """
    return [cipher.decrypt(secret) for secret in (encrypted, *still_valid(encrypted_old, now).values())]


def still_valid(encrypted_old: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the replaced secrets of an endpoint that still sign messages at `now`. They stay encrypted.

    The argument and the result map the ISO 8601 time at which a secret stops signing to that secret. In the result, the
    latest time comes first.
    """
    return {
        until: encrypted_old[until]
        for until in sorted(encrypted_old, reverse=True)
        if datetime.fromisoformat(until) > now
    }


def sign(message: Message) -> SignedMessage:
    """Return a webhook message with the headers for an attempt now: its id, the time, and one signature per secret."""
    timestamp = int(utcnow().timestamp())
    # The library ignores the time zone: the time must be in UTC.
    at = datetime.fromtimestamp(timestamp, UTC)
    message_id = str(message.id)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            Webhook(secret).sign(message_id, at, message.body) for secret in message.secrets
        ),
    }
    return SignedMessage(message.url, message.body, headers)
