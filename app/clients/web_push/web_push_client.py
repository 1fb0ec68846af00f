"""The client of browsers' push services (web push); each message is encrypted for its browser (RFC 8291).

A token is the browser's subscription as JSON.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import structlog
from py_vapid import VapidException
from pywebpush import WebPusher, WebPushException
from typing_extensions import override

from app.clients.circuit import Circuits, Probing
from app.clients.guarded_http import CONNECT_SECONDS
from app.clients.http_client import retry_after_seconds
from app.clients.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushSender,
    TryLater,
    shorten,
)
from app.clients.web_push.vapid import VapidKey, base64url

TIMEOUT_SECONDS = 10.0

# 4096 bytes less the header, the padding and the tag of the encryption.
_MAX_PLAIN_BYTES = 3990
_PARALLEL_REQUESTS = 10
# Of a response's body, which nothing needs: its connection is used again only if the body was read.
_BODY_BYTES = 16_384
_BODY_SECONDS = 2.0
_GONE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    endpoint: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class WebPushClient(PushSender):
    """Sends web pushes to browsers, in one HTTP request per message.

    `subject` is a contact of the operator for push services: a `mailto:` or `https:` URL. `hosts` are the permitted
    services; a name with a leading dot permits its subdomains. `allow_http` is for development.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        key: VapidKey,
        subject: str,
        hosts: Sequence[str],
        probing: Probing,
        allow_http: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = http
        self._key = key
        self._subject = subject
        self._timeout_seconds = timeout_seconds
        self._services = PermittedServices(hosts, allow_http=allow_http)
        self._circuits = Circuits(probing)
        self._slots = asyncio.Semaphore(_PARALLEL_REQUESTS)

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        sending = [self._send(message, deadline) for message in messages]
        # No task group: an unexpected error would cancel the others, and services may have accepted their messages.
        results = await asyncio.gather(*sending, return_exceptions=True)
        return [_failure(each) if isinstance(each, BaseException) else each for each in results]

    async def _send(self, message: PushMessage, deadline: Deadline) -> PushOutcome:
        try:
            subscription = self._services.read_subscription(message.token)
            circuit = self._circuits.of(urlsplit(subscription["endpoint"]).hostname or "")
            async with self._slots:
                if deadline.is_past:
                    return NOT_REACHED
                if (held := circuit.hold()) is not None:
                    return held
                try:
                    # In a thread: elliptic curves take a millisecond, too long for the event loop.
                    request = await asyncio.to_thread(self._encrypt, message, subscription)
                except NotASubscription:
                    raise
                except Exception as error:  # noqa: BLE001 - one bad subscription must not block the others
                    log.error("push.encryption_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may quote the token
                    return BadMessage("EncryptionFailed")
                return await circuit.call(partial(self._post, request))
        except NotASubscription:
            return DeadToken("NotASubscription")

    async def _post(self, request: _Request) -> PushOutcome:
        try:
            # For the whole request: httpx restarts its time limit with each piece of a slow response.
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._http.send(
                    self._http.build_request(
                        "POST",
                        request.endpoint,
                        content=request.body,
                        headers=request.headers,
                        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
                    ),
                    stream=True,
                    follow_redirects=False,
                )
        # UnicodeError: httpx decodes hosts that begin with `xn--`, also in redirects that it does not follow.
        except (httpx.InvalidURL, UnicodeError) as error:
            raise NotASubscription from error
        except (httpx.HTTPError, TimeoutError) as error:
            is_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            return TryLater(type(error).__name__, may_have_arrived=is_sent)
        await _discard(response)
        return _outcome(response)

    def _encrypt(self, message: PushMessage, subscription: dict[str, Any]) -> _Request:
        fitting = shorten(message, max_bytes=_MAX_PLAIN_BYTES, content=browser_content)
        content = orjson.dumps(browser_content(fitting))
        endpoint = subscription["endpoint"]
        try:
            body = WebPusher(subscription).encode(content)["body"]
            vapid = self._key.headers(endpoint, subject=self._subject)
        except (WebPushException, VapidException, ValueError, TypeError, IndexError) as error:
            raise NotASubscription from error
        return _Request(
            endpoint, body, {**vapid, "Content-Encoding": "aes128gcm", **handling_headers(message)}
        )


async def _discard(response: httpx.Response) -> None:
    read = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > _BODY_BYTES:
                    break
    await response.aclose()


def _failure(error: BaseException) -> PushOutcome:
    log.error("push.unexpected_error", exc_info=error)
    return TryLater(type(error).__name__, may_have_arrived=True)


def _outcome(response: httpx.Response) -> PushOutcome:
    status = response.status_code
    if response.is_success:
        return Accepted()
    if status in _GONE:
        return DeadToken(f"HTTP {status}")
    has_fault = status >= httpx.codes.INTERNAL_SERVER_ERROR
    if has_fault or status == httpx.codes.TOO_MANY_REQUESTS:
        delay = retry_after_seconds(response.headers.get("retry-after"))
        # A gateway may answer 5xx for a server that has accepted the message.
        return TryLater(f"HTTP {status}", delay, may_have_arrived=has_fault)
    return BadMessage(f"HTTP {status}")


_TIME_TO_LIVE_SECONDS = 3600


def browser_content(message: PushMessage) -> dict[str, Any]:
    """Return a push as a declarative web push, which a service worker can also read."""
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
    """Return the headers of a message: lifetime, urgency, and the topic that replaces an undelivered one."""
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


class NotASubscription(Exception):
    """A device's token is not a web push subscription, or its push service is not permitted."""


class PermittedServices:
    """The hosts that web pushes may be sent to; a leading dot permits subdomains, and development plain HTTP."""

    def __init__(self, hosts: Sequence[str], *, allow_http: bool) -> None:
        self._hosts = tuple(hosts)
        self._schemes = {"https", "http"} if allow_http else {"https"}

    def read_subscription(self, token: str) -> dict[str, Any]:
        """Return the endpoint and keys of a browser's subscription, checked; raise NotASubscription."""
        try:
            subscription = orjson.loads(token)
            endpoint = str(subscription["endpoint"])
            address = urlsplit(endpoint)
            keys = {name: subscription["keys"][name] for name in ("p256dh", "auth")}
        except (ValueError, TypeError, KeyError) as error:
            raise NotASubscription from error
        if not all(isinstance(value, str) and value for value in keys.values()):
            raise NotASubscription
        if address.scheme not in self._schemes or address.username is not None:
            raise NotASubscription
        if not self._permits(address.hostname or ""):
            raise NotASubscription
        return {"endpoint": endpoint, "keys": keys}

    def _permits(self, host: str) -> bool:
        return any(host.endswith(known) if known.startswith(".") else host == known for known in self._hosts)
