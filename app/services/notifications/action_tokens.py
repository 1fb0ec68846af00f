"""Action tokens in notifications: each lets its bearer answer one question as one person (contract 15)."""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from app.clock import utcnow

ACTION_TOKEN_PREFIX = "tba_"  # noqa: S105 - every token begins with it
LIFETIME = timedelta(hours=24)
_PURPOSE = b"taskbeacon:action-tokens"
# Notification, question, the second of expiry, the digest, and the option.
_FORM = struct.Struct(">16s16sQ32sh")
_NO_OPTION = -1
_MOST_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class ActionClaims:
    """The content of an action token: the ids of its notification and question, and the question's digest."""

    # Its row names the recipient and the device.
    notification_id: UUID
    question_id: UUID
    # The hash of the question as it was shown to the person: 32 bytes.
    digest: bytes
    # Its place in the options of the question, which the digest binds: ids may be longer than a push. None: the token
    # opens the page of the question, where the person chooses.
    option: int | None = None


def mint(secret_keys: Sequence[SecretStr], claims: ActionClaims) -> str:
    """Return a new action token, valid for 24 hours and signed with the first secret key."""
    expires_at = int((utcnow() + LIFETIME).timestamp())
    option = _NO_OPTION if claims.option is None else claims.option
    ids = claims.notification_id.bytes, claims.question_id.bytes
    return _sign(secret_keys[0], _FORM.pack(*ids, expires_at, claims.digest, option))


def read(secret_keys: Sequence[SecretStr], token: str) -> ActionClaims | None:
    """Return the content of an action token; None if the token has expired or none of `secret_keys` signed it."""
    payload = _payload(token)
    if len(payload) != _FORM.size:
        return None
    if not any(hmac.compare_digest(_sign(key, payload), token) for key in secret_keys):
        return None
    notification, question, expires_at, digest, option = _FORM.unpack(payload)
    if expires_at <= utcnow().timestamp():
        return None
    place = None if option == _NO_OPTION else option
    return ActionClaims(UUID(bytes=notification), UUID(bytes=question), digest, place)


def _payload(token: str) -> bytes:
    if not token.isascii() or len(token) > _MOST_CHARACTERS or not token.startswith(ACTION_TOKEN_PREFIX):
        return b""
    text = token.removeprefix(ACTION_TOKEN_PREFIX).partition(".")[0]
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def _sign(key: SecretStr, payload: bytes) -> str:
    mac = hmac.digest(_derive(key.get_secret_value()), payload, hashlib.sha256)
    return f"{ACTION_TOKEN_PREFIX}{_encode(payload)}.{_encode(mac)}"


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@lru_cache(maxsize=16)
def _derive(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
