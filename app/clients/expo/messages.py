"""Messages in Expo's format: the priority, sound, badge and buttons of a push, and the body of a request."""

import gzip
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from app.clients.push import PushMessage, shorten
from app.enums import Urgency

_MAX_PAYLOAD_BYTES = 4096
_WORTH_COMPRESSING_BYTES = 1024
# The interruption level on iOS; the highest needs an entitlement of the app.
_LEVELS = {Urgency.HIGH: "time-sensitive", Urgency.NORMAL: "active", Urgency.LOW: "passive"}
# The category for which an app registers the buttons of a question.
_CATEGORY = "question"


class Content(NamedTuple):
    """The encoded body of a request to Expo, and the HTTP headers that describe its encoding."""

    body: bytes
    headers: Mapping[str, str]


def encode(content: Any) -> Content:
    """Return a JSON value encoded as the body of a request to Expo, compressed with gzip if it is over 1 KiB."""
    body = orjson.dumps(content)
    if len(body) <= _WORTH_COMPRESSING_BYTES:
        return Content(body, {})
    return Content(gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"})


def wire_message(message: PushMessage) -> dict[str, Any]:
    """Return a push message as JSON in Expo's format, with its recipient.

    If the message exceeds Expo's limit of 4096 bytes, its buttons are removed; if that is not enough, its text is
    shortened.
    """
    content = wire_content(message)
    if len(orjson.dumps(content)) > _MAX_PAYLOAD_BYTES:
        content = wire_content(shorten(message, max_bytes=_MAX_PAYLOAD_BYTES, content=wire_content))
    return {"to": message.token, **content}


def wire_content(message: PushMessage) -> dict[str, Any]:
    """Return a push message as JSON in Expo's format, without its recipient. The message is not shortened."""
    style = message.style
    content = message.content()
    if message.tag is not None:
        # iOS replaces messages by the first key, Android by the second.
        content["collapseId"] = content["tag"] = message.tag
    if style is None:
        content["sound"] = "default"
        return content
    level = _LEVELS[Urgency.LOW] if style.is_silent else _LEVELS[style.urgency]
    content["priority"] = "normal" if level == "passive" else "high"
    content["interruptionLevel"] = level
    content["ttl"] = style.ttl_seconds
    if not style.is_silent:
        content["sound"] = "default"
    if style.speaker is not None:
        content["subtitle"] = style.speaker
    if style.badge is not None:
        content["badge"] = style.badge
    if style.thread is not None:
        content["threadId"] = style.thread
    if style.channel is not None:
        content["channelId"] = style.channel
    if style.actions:
        content["categoryId"] = _CATEGORY
        content["data"]["actions"] = [
            {"id": action.id, "option_id": action.option_id, "title": action.title, "token": action.token}
            for action in style.actions
        ]
    return content
