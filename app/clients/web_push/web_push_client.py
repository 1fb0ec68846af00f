"""The client of browsers' push services (web push)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import httpx
import structlog
from typing_extensions import override

from app.clients.http.guarded_http import CONNECT_SECONDS
from app.clients.http.http_client import retry_after_seconds
from app.clients.pushes.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushSender,
    TryLater,
)
from app.clients.pushes.push_circuit import Circuits, NextProbe
from app.clients.web_push.vapid import VapidKey
from app.clients.web_push.web_push_messages import (
    EncryptedPush,
    EncryptionFailed,
    NotASubscription,
    encrypt,
    read_subscription,
)

_TIMEOUT_SECONDS = 10.0
_PARALLEL_REQUESTS = 10
# How much of a response's body is read: its connection can be used again only after the body was read.
_BODY_BYTES = 16_384
_BODY_SECONDS = 2.0
_GONE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
_OTHER_KEY = (BadMessage("HTTP 401"), BadMessage("HTTP 403"))

log = structlog.get_logger(__name__)


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
        next_probe: NextProbe,
        allow_http: bool = False,
    ) -> None:
        self._http = http
        self._key = key
        self._subject = subject
        self._hosts = hosts
        self._allow_http = allow_http
        self._circuits = Circuits(next_probe)
        self._slots = asyncio.Semaphore(_PARALLEL_REQUESTS)

    @override
    async def send(self, messages: Sequence[PushMessage], deadline: Deadline) -> list[PushOutcome]:
        sending = [self._send(message, deadline) for message in messages]
        # No task group: an unexpected error would cancel the others, and services may have accepted their messages.
        results = await asyncio.gather(*sending, return_exceptions=True)
        return [_failure(each) if isinstance(each, BaseException) else each for each in results]

    async def _send(self, message: PushMessage, deadline: Deadline) -> PushOutcome:
        try:
            subscription = read_subscription(message.token, self._hosts, allow_http=self._allow_http)
            circuit = self._circuits.of(urlsplit(subscription["endpoint"]).hostname or "")
            async with self._slots:
                if deadline.is_past:
                    return NOT_REACHED
                if (held := circuit.hold()) is not None:
                    return held
                try:
                    # In a thread: elliptic curves take a millisecond, too long for the event loop.
                    request = await asyncio.to_thread(
                        encrypt, message, subscription, self._key, subject=self._subject
                    )
                except NotASubscription:
                    raise
                except EncryptionFailed as error:
                    log.error("push.encryption_failed", error=str(error))  # noqa: TRY400 - a traceback may quote the token
                    return BadMessage("EncryptionFailed")
                except Exception as error:  # noqa: BLE001 - it may pass, as a lack of threads does
                    log.error("push.not_encrypted", error=type(error).__name__)  # noqa: TRY400 - a traceback may quote the token
                    return TryLater(type(error).__name__)
                outcome = await circuit.call(partial(self._post, request))
        except NotASubscription:
            return DeadToken("NotASubscription")
        # The operator's key is wrong, or the subscription belongs to another key. The circuit does not count
        # this failure: a few such subscriptions would hold back the pushes of all users.
        return TryLater(outcome.reason) if outcome in _OTHER_KEY else outcome

    async def _post(self, request: EncryptedPush) -> PushOutcome:
        try:
            # Limits the whole request: the time limit of httpx restarts with each piece of a slow response.
            async with asyncio.timeout(_TIMEOUT_SECONDS):
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
