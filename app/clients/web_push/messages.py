"""Encode web push messages for browsers, and the headers for their push services."""

import hashlib
from typing import Any

from app.clients.push import PushMessage
from app.clients.web_push.vapid import base64url

_TIME_TO_LIVE_SECONDS = 3600


def browser_content(message: PushMessage) -> dict[str, Any]:
    """Return a push message as JSON for a browser, in the format of declarative web push.

    A service worker of the web page can also read this format.
    """
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
    declared: dict[str, Any] = {"web_push": 8030, "notification": shown, **plain}
    if style.badge is not None:
        declared["app_badge"] = style.badge
    return declared


def handling_headers(message: PushMessage) -> dict[str, str]:
    """Return the HTTP headers that give a push service the lifetime and the urgency of a message, and its tag.

    The header `Topic` has a hash of the tag: the message replaces an undelivered one with the same tag.
    """
    style = message.style
    headers = (
        {"TTL": str(_TIME_TO_LIVE_SECONDS), "Urgency": "high"}
        if style is None
        else {"TTL": str(style.ttl_seconds), "Urgency": style.urgency.value}
    )
    if message.tag is not None:
        # Replaces a message that the service has not delivered yet. At most 32 characters of base64url.
        headers["Topic"] = base64url(hashlib.sha256(message.tag.encode()).digest()[:24])
    return headers
