"""Encrypt pushes for browsers (RFC 8291). A device's token is its browser's subscription."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from http_ece import ECEException
from py_vapid import VapidException
from pywebpush import WebPusher, WebPushException

from app.clients.pushes.push import PushMessage
from app.clients.pushes.push_length import shorten
from app.clients.web_push.vapid import VapidKey, base64url
from app.json_types import JsonDict

# 4096 bytes less the header, the padding and the tag of the encryption.
_MAX_PLAIN_BYTES = 3990
_TIME_TO_LIVE_SECONDS = 3600


class NotASubscription(Exception):
    """A device's token is not a web push subscription, or its push service is not permitted."""


class EncryptionFailed(Exception):
    """A message cannot be encrypted for its browser, now or later."""


def read_subscription(token: str, hosts: Iterable[str], *, allow_http: bool) -> JsonDict:
    """Return the endpoint and keys of a browser's subscription; raise NotASubscription if they may not be used."""
    try:
        subscription = orjson.loads(token)
        endpoint = str(subscription["endpoint"])
        address = urlsplit(endpoint)
        keys = {name: subscription["keys"][name] for name in ("p256dh", "auth")}
    except (ValueError, TypeError, KeyError) as error:
        raise NotASubscription from error
    host, schemes = address.hostname or "", ("https", "http") if allow_http else ("https",)
    is_permitted = any(host.endswith(each) if each.startswith(".") else host == each for each in hosts)
    has_keys = all(isinstance(value, str) and value for value in keys.values())
    if not (is_permitted and has_keys) or address.scheme not in schemes or address.username is not None:
        raise NotASubscription
    return {"endpoint": endpoint, "keys": keys}


@dataclass(frozen=True, slots=True)
class EncryptedPush:
    """The request that sends a message to the push service of its browser."""

    endpoint: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def encrypt(message: PushMessage, subscription: JsonDict, key: VapidKey, *, subject: str) -> EncryptedPush:
    """Shorten a message to what fits, and encrypt it. Raises NotASubscription or EncryptionFailed."""
    endpoint = subscription["endpoint"]
    try:
        fitting = shorten(message, max_bytes=_MAX_PLAIN_BYTES, content=_browser_content)
        content = orjson.dumps(_browser_content(fitting))
        body = WebPusher(subscription).encode(content)["body"]
        vapid = key.headers(endpoint, subject=subject)
    except (orjson.JSONEncodeError, ECEException, UnsupportedAlgorithm) as error:
        raise EncryptionFailed(type(error).__name__) from error
    except (WebPushException, VapidException, ValueError, TypeError, IndexError) as error:
        raise NotASubscription from error
    return EncryptedPush(
        endpoint, body, {**vapid, "Content-Encoding": "aes128gcm", **_handling_headers(message)}
    )


def _browser_content(message: PushMessage) -> JsonDict:
    # A declarative web push, which a service worker can also read.
    style = message.style
    plain = message.content()
    if style is None:
        return plain if message.tag is None else {**plain, "tag": message.tag}
    if style.speaker is not None:
        # Browsers have no subtitle for the speaker.
        plain["body"] = f"{style.speaker.capitalize()}: {plain['body']}"
    fields = {
        "tag": message.tag,
        "navigate": style.link,
        "silent": style.is_silent or None,
        "renotify": style.is_renewed or None,
        "actions": [
            {"action": action.id, "title": action.title, "navigate": action.link}
            for action in style.actions
            if action.link
        ]
        or None,
    }
    shown = {**plain, **{name: value for name, value in fields.items() if value is not None}}
    declared: JsonDict = {"web_push": 8030, "notification": shown, **plain}
    if style.badge is not None:
        declared["app_badge"] = style.badge
    return declared


def _handling_headers(message: PushMessage) -> dict[str, str]:
    style = message.style
    headers = (
        {"TTL": str(_TIME_TO_LIVE_SECONDS), "Urgency": "high"}
        if style is None
        else {"TTL": str(style.ttl_seconds), "Urgency": style.urgency.value}
    )
    if message.tag is not None:
        # The service replaces a waiting message with the same topic. A topic has at most 32 characters of base64url.
        headers["Topic"] = base64url(hashlib.sha256(message.tag.encode()).digest()[:24])
    return headers
