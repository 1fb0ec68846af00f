"""The client of Expo's push service.

In a response ticket i belongs to message i; only messages without one are resent.
"""

import asyncio
import gzip
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, TypeGuard
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from typing_extensions import override

from app.clients.circuit import Circuit, Probing
from app.clients.http_client import retry_after_seconds, tls_context
from app.clients.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    NotSent,
    PushMessage,
    PushOutcome,
    PushSender,
    PushUnavailable,
    ReceiptSource,
    TryLater,
    shorten,
)
from app.clients.send_rate import SendRate
from app.enums import Urgency

MAX_MESSAGES = 100
MAX_RECEIPTS = 1000
# As Expo recommends.
MAX_PARALLEL_SENDS = 6
TIMEOUT_SECONDS = 10.0

# To one host: sends, and requests for receipts.
_MAX_CONNECTIONS = MAX_PARALLEL_SENDS + 2
_CONNECTIONS_KEPT_SECONDS = 60

_SEND = "/--/api/v2/push/send"
_RECEIPTS = "/--/api/v2/push/getReceipts"
_MAX_ANSWER_BYTES = 4 * 2**20
_MAX_PAYLOAD_BYTES = 4096
_WORTH_COMPRESSING_BYTES = 1024
# The interruption level on iOS; the highest needs an entitlement of the app.
_LEVELS = {Urgency.HIGH: "time-sensitive", Urgency.NORMAL: "active", Urgency.LOW: "passive"}
# The category for which an app registers the buttons of a question.
_CATEGORY = "question"
_MAX_TICKET_LENGTH = 128
_MAX_REASON_LENGTH = 64
_DEAD = "DeviceNotRegistered"
# Expo's names of transient errors.
_TRANSIENT = frozenset({"MessageRateExceeded"})

# The body of a request, compressed if that is worth it, and the headers that say so.
_Content = tuple[bytes, dict[str, str]]

log = structlog.get_logger(__name__)


def open_http(base_url: str) -> aiohttp.ClientSession:
    """Return an HTTP client for Expo's API, through the proxy of the environment, if any; the caller closes it."""
    # Not httpx, which would take a third of the processor time of a worker (ADR 16).
    address = urlsplit(base_url)
    proxies = {} if proxy_bypass(address.netloc) else getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy is not None and "://" not in proxy:
        # A proxy without a scheme is an HTTP proxy, as in other programs.
        proxy = f"http://{proxy}"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_MAX_CONNECTIONS, keepalive_timeout=_CONNECTIONS_KEPT_SECONDS, ssl=tls_context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
    )


def _encode(content: Any) -> _Content:
    body = orjson.dumps(content)
    if len(body) <= _WORTH_COMPRESSING_BYTES:
        return body, {}
    return gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"}


def wire_message(message: PushMessage) -> dict[str, Any]:
    """Return a push in Expo's format; above 4096 bytes it loses its buttons, then the end of its text."""
    content = wire_content(message)
    if len(orjson.dumps(content)) > _MAX_PAYLOAD_BYTES:
        content = wire_content(shorten(message, max_bytes=_MAX_PAYLOAD_BYTES, content=wire_content))
    return {"to": message.token, **content}


def wire_content(message: PushMessage) -> dict[str, Any]:
    """Return a push in Expo's format, without its recipient and not shortened."""
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


def _read(status: int, retry_after: str | None, body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    has_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if has_fault or status == HTTPStatus.TOO_MANY_REQUESTS:
        delay = retry_after_seconds(retry_after)
        # A gateway may answer 5xx for a server that has accepted the messages.
        raise PushUnavailable(f"HTTP {status}", retry_after=delay, may_have_arrived=has_fault)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # The operator's access token is missing or wrong. The messages are not at fault.
        raise PushUnavailable(f"HTTP {status}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise ExpoRefused(_error_code(content) or f"HTTP {status}")
    if not isinstance(content, dict):
        raise UnreadableAnswer
    return content


def _error_code(content: Any) -> str | None:
    errors = content.get("errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code[:_MAX_REASON_LENGTH] if _is_text(code) else None


def outcomes_of(content: dict[str, Any], count: int) -> list[PushOutcome]:
    """Return the outcomes of `count` messages; TryLater where a ticket is missing. Raises PushUnavailable."""
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
    return isinstance(value, str) and value.isprintable()


class ExpoClient(PushSender, ReceiptSource):
    """Sends pushes through Expo's push service, no faster than `rate` permits, if any."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        base_url: str,
        access_token: SecretStr | None,
        rate: SendRate | None,
        probing: Probing,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access_token is not None:
            self._headers["Authorization"] = f"Bearer {access_token.get_secret_value()}"
        self._rate = rate
        self._circuit = Circuit("expo", probing)
        # For the whole request, however slowly the answer arrives.
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._slots = asyncio.Semaphore(MAX_PARALLEL_SENDS)

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        assert len(messages) <= MAX_MESSAGES
        # Before waiting for a slot, which is held only while sending.
        content = _encode([wire_message(message) for message in messages])
        try:
            async with self._slots:
                outcomes = await self._send_once(content, len(messages), deadline)
        except ExpoRefused as error:
            if len(messages) == 1:
                return [BadMessage(error.reason)]
        else:
            return outcomes if isinstance(outcomes, list) else [outcomes] * len(messages)
        # Expo refuses a whole request for one message that it cannot read: halve the request until that message is
        # alone.
        middle = len(messages) // 2
        return [
            outcome
            for half in (messages[:middle], messages[middle:])
            for outcome in await self.send(half, deadline)
        ]

    async def _send_once(
        self, content: _Content, count: int, deadline: Deadline
    ) -> list[PushOutcome] | TryLater | NotSent:
        if (held := self._circuit.hold()) is not None:
            return held
        if deadline.is_past or (self._rate is not None and not await self._rate.take(count, deadline)):
            return NOT_REACHED

        async def request() -> list[PushOutcome] | TryLater:
            try:
                return outcomes_of(await self._post(_SEND, content), count)
            except PushUnavailable as error:
                return error.outcome

        return await self._circuit.call(request)

    @override
    async def receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        assert len(tickets) <= MAX_RECEIPTS
        try:
            content = await self._post(_RECEIPTS, _encode({"ids": list(tickets)}))
        except ExpoRefused as error:
            raise PushUnavailable(error.reason) from error
        receipts = content.get("data")
        if not isinstance(receipts, dict):
            raise UnreadableAnswer
        return {ticket: outcome_of(receipts[ticket]) for ticket in tickets if ticket in receipts}

    async def _post(self, path: str, content: _Content) -> dict[str, Any]:
        # Raises PushUnavailable, or ExpoRefused because of the content.
        body, encoding = content
        answer = bytearray()
        try:
            async with self._http.post(
                self._base_url + path,
                data=body,
                headers={**self._headers, **encoding},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                async for chunk in response.content.iter_any():
                    answer += chunk
                    if len(answer) > _MAX_ANSWER_BYTES:
                        raise UnreadableAnswer
        except (aiohttp.ClientError, TimeoutError) as error:
            is_sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise PushUnavailable(type(error).__name__, may_have_arrived=is_sent) from error
        return _read(response.status, response.headers.get("retry-after"), bytes(answer))
