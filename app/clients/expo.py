"""Expo's push service, which delivers messages to iOS and Android (contract 7.2).

Ticket i belongs to message i. Only a message without a ticket may be sent again.
"""

import asyncio
import gzip
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from typing_extensions import override

from app.clients.deadline import Deadline
from app.clients.http_client import trusted
from app.clients.pace import SendRate
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
    retry_after_seconds,
    shortened,
)
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
_MAX_PAYLOAD_BYTES = 4096
_WORTH_COMPRESSING_BYTES = 1024
_MAX_ANSWER_BYTES = 4 * 2**20
_MAX_TICKET_LENGTH = 128
_MAX_REASON_LENGTH = 64
_DEAD = "DeviceNotRegistered"
# The interruption level on iOS; the highest needs an entitlement of the app.
_LEVELS = {Urgency.HIGH: "time-sensitive", Urgency.NORMAL: "active", Urgency.LOW: "passive"}
# The category for which an app registers the buttons of a question.
_CATEGORY = "question"
# Expo's names of transient errors.
_TRANSIENT = frozenset({"MessageRateExceeded"})

log = structlog.get_logger(__name__)


class _Content(NamedTuple):
    """An encoded request body and its headers."""

    body: bytes
    headers: Mapping[str, str]


class _Answer(NamedTuple):
    """A response that is not parsed yet."""

    status: int
    retry_after: str | None
    content: bytes


class _RequestRefused(Exception):
    """Expo refuses the whole request because of something in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def open_http(base_url: str) -> aiohttp.ClientSession:
    """Return a client for requests to `base_url`, through a proxy if the environment names one.

    Not httpx, which is used for other servers: at a hundred messages a request it would take a third of a worker's
    processor time (ADR 37).
    """
    address = urlsplit(base_url)
    proxies = {} if proxy_bypass(address.netloc) else getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy is not None and "://" not in proxy:
        # A proxy without a scheme is an HTTP proxy, as in other programs.
        proxy = f"http://{proxy}"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_MAX_CONNECTIONS,
            keepalive_timeout=_CONNECTIONS_KEPT_SECONDS,
            ssl=trusted(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
    )


class ExpoClient(PushSender):
    """Sends through `http`, a client that the process owns, at most at the rate that Expo allows a project."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        base_url: str,
        access_token: SecretStr | None,
        rate: SendRate,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access_token is not None:
            self._headers["Authorization"] = f"Bearer {access_token.get_secret_value()}"
        self._rate = rate
        # For the whole request, however slowly the answer arrives.
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._slots = asyncio.Semaphore(MAX_PARALLEL_SENDS)

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        assert len(messages) <= MAX_MESSAGES
        # Before waiting for a slot, which is held only while sending.
        content = _encoded([_wire(message) for message in messages])
        async with self._slots:
            if not await self._rate.take(len(messages), deadline):
                return [NOT_REACHED] * len(messages)
            answer = await self._post(_SEND, content)
        try:
            return _outcomes(_read(answer), len(messages))
        except _RequestRefused as error:
            if len(messages) == 1:
                return [BadMessage(error.reason)]
        # Expo refuses a whole request for one message that it cannot read: halve the request until that message is alone.
        middle = len(messages) // 2
        return [
            outcome
            for half in (messages[:middle], messages[middle:])
            for outcome in await self._send_half(half, deadline)
        ]

    async def _send_half(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        try:
            return await self.send(messages, deadline)
        except PushUnavailable as error:
            # Not raised: the other half may have its tickets already.
            return [error.outcome] * len(messages)

    @override
    async def receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        assert len(tickets) <= MAX_RECEIPTS
        try:
            content = _read(await self._post(_RECEIPTS, _encoded({"ids": list(tickets)})))
        except _RequestRefused as error:
            raise PushUnavailable(error.reason) from error
        receipts = content.get("data")
        if not isinstance(receipts, dict):
            raise PushUnavailable("UnreadableAnswer")
        return {ticket: _outcome(receipts[ticket]) for ticket in tickets if ticket in receipts}

    async def _post(self, path: str, content: _Content) -> _Answer:
        body = bytearray()
        try:
            async with self._http.post(
                self._base_url + path,
                data=content.body,
                headers={**self._headers, **content.headers},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise PushUnavailable("UnreadableAnswer")
        except (aiohttp.ClientError, TimeoutError) as error:
            is_sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise PushUnavailable(type(error).__name__, may_have_arrived=is_sent) from error
        return _Answer(response.status, response.headers.get("retry-after"), bytes(body))


def _encoded(content: Any) -> _Content:
    body = orjson.dumps(content)
    if len(body) <= _WORTH_COMPRESSING_BYTES:
        return _Content(body, {})
    return _Content(gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"})


def _read(answer: _Answer) -> dict[str, Any]:
    try:
        content = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        content = None
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        delay = retry_after_seconds(answer.retry_after)
        raise PushUnavailable(f"HTTP {status}", retry_after=delay)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        # The operator's access token is missing or wrong. The messages are not at fault.
        raise PushUnavailable(f"HTTP {status}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise _RequestRefused(_error_code(content) or f"HTTP {status}")
    if not isinstance(content, dict):
        raise PushUnavailable("UnreadableAnswer")
    return content


def _error_code(content: Any) -> str | None:
    errors = content.get("errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code[:_MAX_REASON_LENGTH] if _is_text(code) else None


def _outcomes(content: dict[str, Any], count: int) -> list[PushOutcome]:
    """Return the outcomes for the tickets of `count` messages."""
    tickets = content.get("data")
    if not isinstance(tickets, list):
        raise PushUnavailable("UnreadableAnswer")
    if len(tickets) < count:
        log.warning("push.short_ticket_list", messages=count, tickets=len(tickets))
    outcomes = [_outcome(ticket) for ticket in tickets[:count]]
    return [*outcomes, *([TryLater("NoTicket")] * (count - len(outcomes)))]


def _outcome(ticket: Any) -> PushOutcome:
    """Return the outcome for one ticket or receipt."""
    if not isinstance(ticket, dict):
        return TryLater("UnreadableTicket")
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
    """Return whether a value is a text without NUL, which PostgreSQL cannot store."""
    return isinstance(value, str) and value.isprintable()


def _wire(message: PushMessage) -> dict[str, Any]:
    content = wire_content(message)
    if len(orjson.dumps(content)) > _MAX_PAYLOAD_BYTES:
        content = wire_content(shortened(message, max_bytes=_MAX_PAYLOAD_BYTES, content=wire_content))
    return {"to": message.token, **content}


def wire_content(message: PushMessage) -> dict[str, Any]:
    """Return a message in Expo's format, without its recipient."""
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
