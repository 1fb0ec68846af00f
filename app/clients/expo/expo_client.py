"""The client of Expo's push service."""

import asyncio
import gzip
from collections.abc import Sequence
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from typing_extensions import override

from app.clients.expo.expo_messages import (
    ExpoRefused,
    UnreadableAnswer,
    outcome_of,
    outcomes_of,
    read_answer,
    wire_message,
)
from app.clients.expo.send_rate import SendRate
from app.clients.http.http_client import read_answer_body, tls_context
from app.clients.pushes.push import (
    NOT_REACHED,
    BadMessage,
    Deadline,
    NotSent,
    PushMessage,
    PushOutcome,
    PushSender,
    PushUnavailable,
    ReceiptSource,
    TryLater,
)
from app.clients.pushes.push_circuit import Circuit, NextProbe
from app.json_types import JsonDict

# Expo recommends at most this many requests at a time.
MAX_PARALLEL_SENDS = 6
TIMEOUT_SECONDS = 10.0

# For the parallel sends, and for requests for receipts.
_MAX_CONNECTIONS = MAX_PARALLEL_SENDS + 2
_CONNECTIONS_KEPT_SECONDS = 60

_SEND = "/--/api/v2/push/send"
_RECEIPTS = "/--/api/v2/push/getReceipts"
_WORTH_COMPRESSING_BYTES = 1024

# The body of a request, and the header that says how it is compressed, if it is.
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


def _encode(content: object) -> _Content:
    body = orjson.dumps(content)
    if len(body) <= _WORTH_COMPRESSING_BYTES:
        return body, {}
    return gzip.compress(body, compresslevel=1), {"Content-Encoding": "gzip"}


class ExpoClient(PushSender, ReceiptSource):
    """Sends pushes through Expo's push service, no faster than `rate` permits, if any."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        *,
        base_url: str,
        access_token: SecretStr | None,
        rate: SendRate | None,
        next_probe: NextProbe,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if access_token is not None:
            self._headers["Authorization"] = f"Bearer {access_token.get_secret_value()}"
        self._rate = rate
        self._circuit = Circuit("expo", next_probe)
        # Limits the whole request, however slowly the answer arrives.
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._slots = asyncio.Semaphore(MAX_PARALLEL_SENDS)

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        # Encoded before it waits for a slot, so that it holds the slot for the request alone.
        content = _encode([wire_message(message) for message in messages])
        outcome = await self._send_once(content, len(messages), deadline)
        if not isinstance(outcome, ExpoRefused):
            return outcome if isinstance(outcome, list) else [outcome] * len(messages)
        if len(messages) == 1:
            return [BadMessage(outcome.reason)]
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
    ) -> list[PushOutcome] | TryLater | NotSent | ExpoRefused:
        if (held := self._circuit.hold()) is not None:
            return held
        # Waits for the rate before it takes a slot: a message that may be sent now must not wait for this slot.
        if self._rate is not None and not await self._rate.take(count, deadline):
            return NOT_REACHED

        async def request() -> list[PushOutcome] | TryLater | ExpoRefused:
            try:
                return outcomes_of(await self._post(_SEND, content), count)
            except PushUnavailable as error:
                return error.outcome
            except ExpoRefused as error:
                # Returned, so that the circuit counts it as an answer: Expo takes requests.
                return error

        async with self._slots:
            return NOT_REACHED if deadline.is_past else await self._circuit.call(request)

    @override
    async def fetch_receipts(self, tickets: Sequence[str]) -> dict[str, PushOutcome]:
        # Takes no slot and ignores the circuit: one chore sends these requests one by one, and stops at a failure.
        try:
            content = await self._post(_RECEIPTS, _encode({"ids": list(tickets)}))
        except ExpoRefused as error:
            raise PushUnavailable(error.reason) from error
        receipts = content.get("data")
        if not isinstance(receipts, dict):
            raise UnreadableAnswer
        return {ticket: outcome_of(receipts[ticket]) for ticket in tickets if ticket in receipts}

    async def _post(self, path: str, content: _Content) -> JsonDict:
        body, encoding = content
        try:
            async with self._http.post(
                self._base_url + path,
                data=body,
                headers={**self._headers, **encoding},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                answer = await read_answer_body(response.content.iter_any())
        except (aiohttp.ClientError, TimeoutError) as error:
            is_sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise PushUnavailable(type(error).__name__, may_have_arrived=is_sent) from error
        if answer is None:
            raise UnreadableAnswer
        return read_answer(response.status, response.headers.get("retry-after"), answer)
