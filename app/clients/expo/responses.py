"""Read responses of Expo's push service: tickets and receipts as outcomes, and errors of requests."""

from http import HTTPStatus
from typing import Any, NamedTuple, TypeGuard

import orjson
import structlog

from app.clients.http_client import retry_after_seconds
from app.clients.push import (
    Accepted,
    BadMessage,
    DeadToken,
    PushOutcome,
    PushUnavailable,
    TryLater,
)

_MAX_TICKET_LENGTH = 128
_MAX_REASON_LENGTH = 64
_DEAD = "DeviceNotRegistered"
# Expo's names of transient errors.
_TRANSIENT = frozenset({"MessageRateExceeded"})

log = structlog.get_logger(__name__)


class ExpoResponse(NamedTuple):
    """An HTTP response of Expo: the status, the header Retry-After and the unparsed body."""

    status: int
    retry_after: str | None
    content: bytes


class RequestRefused(Exception):
    """Expo refused a whole request because of its content, so it accepted none of the messages in the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadableAnswer(PushUnavailable):
    """A response of Expo without the tickets that say which messages were accepted: any of them may have been."""

    def __init__(self) -> None:
        super().__init__("UnreadableAnswer", may_have_arrived=True)


def read(answer: ExpoResponse) -> dict[str, Any]:
    """Return the JSON object in a response of Expo.

    Raises:
        PushUnavailable: Expo had a fault, limited the rate or refused the access token, or the body is no JSON object.
        RequestRefused: Expo refused the request because of its content.

    """
    try:
        content = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        content = None
    status = answer.status
    has_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if has_fault or status == HTTPStatus.TOO_MANY_REQUESTS:
        delay = retry_after_seconds(answer.retry_after)
        # A gateway may answer 5xx for a server that has accepted the messages.
        raise PushUnavailable(f"HTTP {status}", retry_after=delay, may_have_arrived=has_fault)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # The operator's access token is missing or wrong. The messages are not at fault.
        raise PushUnavailable(f"HTTP {status}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise RequestRefused(_error_code(content) or f"HTTP {status}")
    if not isinstance(content, dict):
        raise UnreadableAnswer
    return content


def _error_code(content: Any) -> str | None:
    errors = content.get("errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code[:_MAX_REASON_LENGTH] if _is_text(code) else None


def outcomes_of(content: dict[str, Any], count: int) -> list[PushOutcome]:
    """Return the outcomes of `count` sent messages, in their order, from Expo's response.

    The response has one ticket per message: a JSON object with the outcome. A message without a ticket has the outcome
    TryLater.

    Raises:
        PushUnavailable: the response has no list of tickets.

    """
    tickets = content.get("data")
    if not isinstance(tickets, list):
        raise UnreadableAnswer
    if len(tickets) < count:
        log.warning("push.short_ticket_list", messages=count, tickets=len(tickets))
    outcomes = [outcome_of(ticket) for ticket in tickets[:count]]
    return [*outcomes, *([TryLater("NoTicket", may_have_arrived=True)] * (count - len(outcomes)))]


def outcome_of(ticket: Any) -> PushOutcome:
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


def _is_text(value: Any) -> TypeGuard[str]:
    """Return whether a value is a text of printable characters, which PostgreSQL can store."""
    return isinstance(value, str) and value.isprintable()
