"""Write pushes in Expo's format, and read its answers.

In a response ticket i belongs to message i; only messages without one are resent.
"""

from http import HTTPStatus
from typing import TypeGuard

import orjson
import structlog

from app.clients.http.http_client import retry_after_seconds
from app.clients.pushes.push import (
    Accepted,
    BadMessage,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushUnavailable,
    TryLater,
)
from app.clients.pushes.push_length import shorten
from app.enums import Urgency
from app.json_types import JsonDict

_MAX_PAYLOAD_BYTES = 4096
# Interruption levels on iOS; the app needs an entitlement for the highest one.
_LEVELS = {Urgency.HIGH: "time-sensitive", Urgency.NORMAL: "active", Urgency.LOW: "passive"}
# The category for which an app registers the buttons of a question.
_CATEGORY = "question"
_MAX_TICKET_LENGTH = 128
_MAX_REASON_LENGTH = 64
_DEAD = "DeviceNotRegistered"
_OF_CONTENT = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
# Expo's names of transient errors.
_TRANSIENT = frozenset({"MessageRateExceeded"})

log = structlog.get_logger(__name__)


def wire_message(message: PushMessage) -> JsonDict:
    """Return a push in Expo's format; above 4096 bytes it loses its buttons, then the end of its text."""
    content = wire_content(message)
    if len(orjson.dumps(content)) > _MAX_PAYLOAD_BYTES:
        content = wire_content(shorten(message, max_bytes=_MAX_PAYLOAD_BYTES, content=wire_content))
    return {"to": message.token, **content}


def wire_content(message: PushMessage) -> JsonDict:
    style = message.style
    content = message.content()
    if message.tag is not None:
        # iOS replaces messages with the same `collapseId`, Android those with the same `tag`.
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
    optional = {
        "subtitle": style.speaker,
        "badge": style.badge,
        "threadId": style.thread,
        "channelId": style.channel,
    }
    content |= {name: value for name, value in optional.items() if value is not None}
    if style.actions:
        content["categoryId"] = _CATEGORY
        content["data"]["actions"] = [
            {"id": action.id, "option_id": action.option_id, "title": action.title, "token": action.token}
            for action in style.actions
        ]
    return content


class ExpoRefused(Exception):
    """Expo refused a whole request because of its content, so it accepted none of the messages in the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadableAnswer(PushUnavailable):
    """A response of Expo without the tickets that say which messages were accepted: any of them may have been."""

    def __init__(self) -> None:
        super().__init__("UnreadableAnswer", may_have_arrived=True)


def read_answer(status: int, retry_after: str | None, body: bytes) -> JsonDict:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    has_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if has_fault or status == HTTPStatus.TOO_MANY_REQUESTS:
        delay = retry_after_seconds(retry_after)
        # A gateway may answer 5xx for a server that has accepted the messages.
        raise PushUnavailable(f"HTTP {status}", retry_after=delay, may_have_arrived=has_fault)
    if status in _OF_CONTENT:
        raise ExpoRefused(_error_code(content) or f"HTTP {status}")
    if status >= HTTPStatus.BAD_REQUEST:
        # The operator's access token or address is wrong, or a proxy answered. The messages are not at fault.
        raise PushUnavailable(f"HTTP {status}")
    if not isinstance(content, dict):
        raise UnreadableAnswer
    return content


def _error_code(content: object) -> str | None:
    errors = content.get("errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code[:_MAX_REASON_LENGTH] if _is_text(code) else None


def outcomes_of(content: JsonDict, count: int) -> list[PushOutcome]:
    """Return the outcomes of `count` messages; TryLater where a ticket is missing. Raises PushUnavailable."""
    tickets = content.get("data")
    if not isinstance(tickets, list):
        raise UnreadableAnswer
    if len(tickets) < count:
        log.warning("push.short_ticket_list", messages=count, tickets=len(tickets))
    outcomes = [outcome_of(ticket) for ticket in tickets[:count]]
    return [*outcomes, *([TryLater("NoTicket", may_have_arrived=True)] * (count - len(outcomes)))]


def outcome_of(ticket: object) -> PushOutcome:
    """Return the outcome of one message, read from its ticket or its receipt: the JSON objects with Expo's result."""
    if not isinstance(ticket, dict):
        return TryLater("UnreadableTicket", may_have_arrived=True)
    if ticket.get("status") == "ok":
        ticket_id = ticket.get("id")
        return Accepted(ticket_id if _is_text(ticket_id) and len(ticket_id) <= _MAX_TICKET_LENGTH else None)
    details = ticket.get("details")
    error = details.get("error") if isinstance(details, dict) else None
    reason = error[:_MAX_REASON_LENGTH] if _is_text(error) else "UnknownError"
    if reason == _DEAD:
        return DeadToken(reason)
    return TryLater(reason) if reason in _TRANSIENT else BadMessage(reason)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()
