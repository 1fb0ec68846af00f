"""Shorten the messages that are too long for a push service."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from app.clients.pushes.push import PushMessage


def shorten(
    message: PushMessage,
    *,
    max_bytes: int,
    content: Callable[[PushMessage], Mapping[str, object]] = PushMessage.content,
) -> PushMessage:
    """Return a message of at most `max_bytes` of JSON: without buttons, then with a shorter text, if needed."""
    if message.style and message.style.actions and len(orjson.dumps(content(message))) > max_bytes:
        # The agent names the options: if the names are too long, the person must still get the question.
        message = replace(message, style=replace(message.style, actions=()))
    body = message.body
    while body and (excess := len(orjson.dumps(content(message))) - max_bytes) > 0:
        # A character has at most six bytes of JSON, so this never cuts much more than needed.
        body = body[: -max(1, excess // 6)]
        message = replace(message, body=f"{body}…" if body else "")
    return message
