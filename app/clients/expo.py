"""Expo's push service, which brings messages to iOS and Android (contract 7.2).

Ticket i belongs to message i. Only a message without a ticket is ever to be sent again.
"""

import asyncio
import gzip
import math
from collections.abc import Sequence
from typing import Any

import httpx
import orjson
import structlog
from pydantic import SecretStr
from typing_extensions import override

from app.clients.pace import Pace
from app.clients.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushSender,
    PushUnavailable,
    TryLater,
    is_past,
    retry_after_seconds,
    shortened,
)

__all__ = ["MAX_MESSAGES", "MAX_PARALLEL_SENDS", "MAX_RECEIPTS", "ExpoClient"]

MAX_MESSAGES = 100
MAX_RECEIPTS = 1000
# What Expo recommends to its own clients.
MAX_PARALLEL_SENDS = 6
TIMEOUT_SECONDS = 10.0

_SEND = "/--/api/v2/push/send"
_RECEIPTS = "/--/api/v2/push/getReceipts"
_MAX_PAYLOAD_BYTES = 4096
_WORTH_COMPRESSING_BYTES = 1024
_MAX_REASON_LENGTH = 64
_DEAD = "DeviceNotRegistered"
# Names of errors that pass by themselves.
_TRANSIENT = frozenset({"MessageRateExceeded"})

log = structlog.get_logger(__name__)


class _RequestRefused(Exception):
    """Expo refuses the request as a whole, for something in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ExpoClient(PushSender):
    """Sends through `http`, a client that the process owns, and keeps to the pace that Expo allows a project."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        base_url: str,
        access_token: SecretStr | None,
        pace: Pace,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._access_token = access_token
        self._pace = pace
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(MAX_PARALLEL_SENDS)

    @override
    async def send(self, messages: Sequence[PushMessage], *, before: float = math.inf) -> list[PushOutcome]:
        assert len(messages) <= MAX_MESSAGES
        try:
            async with self._slots:
                await self._pace.take(len(messages))
                if is_past(before):
                    return [NOT_REACHED] * len(messages)
                return await self._send(messages)
        except _RequestRefused as error:
            if len(messages) == 1:
                return [BadMessage(error.reason)]
        # One message that Expo cannot read spoils its whole request: halve it until that one is alone.
        middle = len(messages) // 2
        return [
            outcome
            for half in (messages[:middle], messages[middle:])
            for outcome in await self._send_half(half, before)
        ]

    async def _send_half(self, messages: Sequence[PushMessage], before: float) -> list[PushOutcome]:
        try:
            return await self.send(messages, before=before)
        except PushUnavailable as error:
            # The other half may have its tickets already.
            return [TryLater(error.reason, error.retry_after)] * len(messages)

    async def _send(self, messages: Sequence[PushMessage]) -> list[PushOutcome]:
        answer = await self._post(_SEND, [_wire(message) for message in messages])
        tickets = answer.get("data")
        if not isinstance(tickets, list):
            raise PushUnavailable("UnreadableAnswer")
        if len(tickets) < len(messages):
            log.warning("push.short_ticket_list", messages=len(messages), tickets=len(tickets))
        outcomes = [_outcome(ticket) for ticket in tickets[: len(messages)]]
        return [*outcomes, *([TryLater("NoTicket")] * (len(messages) - len(outcomes)))]

    @override
    async def receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        assert len(tickets) <= MAX_RECEIPTS
        try:
            answer = await self._post(_RECEIPTS, {"ids": list(tickets)})
        except _RequestRefused as error:
            raise PushUnavailable(error.reason) from error
        receipts = answer.get("data")
        if not isinstance(receipts, dict):
            raise PushUnavailable("UnreadableAnswer")
        return {ticket: _outcome(receipts[ticket]) for ticket in tickets if ticket in receipts}

    async def _post(self, path: str, content: Any) -> dict[str, Any]:
        body = orjson.dumps(content)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._access_token is not None:
            headers["Authorization"] = f"Bearer {self._access_token.get_secret_value()}"
        if len(body) > _WORTH_COMPRESSING_BYTES:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        try:
            # For all of it: httpx would count anew with each piece of an answer that trickles.
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._http.post(
                    self._base_url + path, content=body, headers=headers, timeout=None
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise PushUnavailable(type(error).__name__) from error
        return _answer(response)


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        answer = None
    status = response.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        wish = retry_after_seconds(response.headers.get("retry-after"))
        raise PushUnavailable(f"HTTP {status}", retry_after=wish)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        # The operator's access token is missing or wrong. The messages are not at fault.
        raise PushUnavailable(f"HTTP {status}")
    if status >= httpx.codes.BAD_REQUEST:
        raise _RequestRefused(_error_code(answer) or f"HTTP {status}")
    if not isinstance(answer, dict):
        raise PushUnavailable("UnreadableAnswer")
    return answer


def _error_code(answer: Any) -> str | None:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code[:_MAX_REASON_LENGTH] if isinstance(code, str) else None


def _outcome(ticket: Any) -> PushOutcome:
    """Sort one ticket or receipt."""
    if not isinstance(ticket, dict):
        return TryLater("UnreadableTicket")
    if ticket.get("status") == "ok":
        ticket_id = ticket.get("id")
        return Accepted(ticket_id if isinstance(ticket_id, str) else None)
    details = ticket.get("details")
    error = details.get("error") if isinstance(details, dict) else None
    reason = error[:_MAX_REASON_LENGTH] if isinstance(error, str) else "UnknownError"
    if reason == _DEAD:
        return DeadToken(reason)
    return TryLater(reason) if reason in _TRANSIENT else BadMessage(reason)


def _wire(message: PushMessage) -> dict[str, Any]:
    fitting = shortened(message, max_bytes=_MAX_PAYLOAD_BYTES)
    return {"to": fitting.token, **fitting.content(), "sound": "default"}
