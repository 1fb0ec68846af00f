"""Make the secrets of webhook endpoints, and sign messages with them (Standard Webhooks 1.0.0)."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from app.clients.webhooks.webhook_messages import SignedMessage
from app.clock import utcnow
from app.security.secrets import Cipher

HINT_LENGTH = 4
_PREFIX = "whsec_"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Message:
    """A message for an endpoint: URL, JSON body, and the secrets that sign it."""

    id: UUID
    url: str
    body: str
    secrets: tuple[str, ...] = field(repr=False)


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def live_secrets(
    encrypted: str, encrypted_old: Mapping[str, str], cipher: Cipher, *, now: datetime
) -> list[str]:
    """Return the secrets, decrypted, that sign at `now`: the current one, then replaced ones; raise DecryptionError."""
    return [cipher.decrypt(secret) for secret in (encrypted, *still_valid(encrypted_old, now).values())]


def still_valid(encrypted_old: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return the replaced secrets that still sign at `now`, by the time at which each stops, the latest first."""
    return {
        until: encrypted_old[until]
        for until in sorted(encrypted_old, reverse=True)
        if datetime.fromisoformat(until) > now
    }


def sign(message: Message, *, traceparent: str | None = None) -> SignedMessage:
    """Return a message with the headers of an attempt now: its id, the time, a signature for each secret, the trace."""
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
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return SignedMessage(message.url, message.body, headers)
