"""The client that sends webhook messages over HTTP."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta

import httpx
from typing_extensions import override

from app.clients.http.guarded_http import CONNECT_SECONDS, DIALLED, BlockedAddress
from app.clients.http.host_names import NameNotFound
from app.clients.http.http_client import retry_after_seconds
from app.clients.webhooks.webhook_messages import FIXED_HEADERS, AttemptResult, SignedMessage, WebhookSender
from app.clock import utcnow
from app.enums import DeliveryError

TOTAL_SECONDS = 15.0
# Time limit for the body of a response after its status.
ANSWER_SECONDS = 2.0

_ANSWER_BYTES = 4096
_EXCERPT_BYTES = 1024
_LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0
_TEXT = re.compile(
    r"(?:text/|application/(?:[\w.+-]+\+)?json\b|application/problem)", re.ASCII | re.IGNORECASE
)
_NOT_SHOWN = re.compile(r"[^\S\n]+|[\x00-\x08\x0b-\x1f\x7f]")
# Closed connections, which the TLS library reports as its own errors.
_NO_TLS_FAILURES = (
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
)


class WebhookClient(WebhookSender):
    """Sends webhook messages by a client of `create_guarded_client`, which refuses forbidden addresses."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        total_seconds: float = TOTAL_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._http = http
        self._total_seconds = total_seconds
        self._answer_seconds = answer_seconds

    @override
    async def send(self, message: SignedMessage) -> AttemptResult:
        started_at, began = utcnow(), asyncio.get_running_loop().time()
        dialled: list[str] = []
        status: int | None = None
        retry_after: float | None = None
        excerpt: str | None = None
        error: DeliveryError | None = None
        # Before the `try`, in which every failure counts against the receiver.
        body, headers = message.body.encode(), httpx.Headers({**FIXED_HEADERS, **message.headers})
        try:
            async with asyncio.timeout(self._total_seconds):
                request = self._http.build_request(
                    "POST",
                    message.url,
                    content=body,
                    headers=headers,
                    timeout=httpx.Timeout(self._total_seconds, connect=CONNECT_SECONDS),
                    extensions={DIALLED: dialled},
                )
                response = await self._http.send(request, stream=True)
            status = response.status_code
            error = error_of(status)
            retry_after = requested_delay(response.headers.get("retry-after"))
            excerpt = await self._read_excerpt(response)
        # UnicodeError: httpx decodes hosts that begin with `xn--`, also in redirects that it does not follow.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as failure:
            error = _classify(failure)
        return AttemptResult(
            started_at=started_at,
            duration=timedelta(seconds=asyncio.get_running_loop().time() - began),
            error=error,
            status_code=status,
            retry_after=retry_after,
            excerpt=excerpt,
            address=dialled[-1] if dialled else None,
        )

    async def _read_excerpt(self, response: httpx.Response) -> str | None:
        read = bytearray()
        try:
            async with asyncio.timeout(self._answer_seconds):
                # Without a chunk size, for which httpx would hold back the pieces of a shorter answer.
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) >= _ANSWER_BYTES:
                        break
        except (httpx.HTTPError, OSError):
            pass  # the status counts without the text
        finally:
            await response.aclose()
        headers = response.headers
        if not read or "content-encoding" in headers or not _TEXT.match(headers.get("content-type", "")):
            return None
        return _NOT_SHOWN.sub(" ", bytes(read[:_EXCERPT_BYTES]).decode(errors="replace"))


def requested_delay(header: str | None) -> float | None:
    """Return the delay in seconds that the value of a Retry-After header requests, at most a day; None if none."""
    return retry_after_seconds(header, longest=_LONGEST_RETRY_AFTER_SECONDS)


def error_of(status: int) -> DeliveryError | None:
    """Return the kind of failure that the HTTP status of a response means, or None if the status is 2xx."""
    if httpx.codes.is_success(status):
        return None
    if httpx.codes.is_redirect(status):
        return DeliveryError.REDIRECT
    return DeliveryError.HTTP_4XX if httpx.codes.is_client_error(status) else DeliveryError.HTTP_5XX


def _classify(failure: BaseException) -> DeliveryError:
    chain = list(_causes(failure))
    if any(isinstance(cause, BlockedAddress) for cause in chain):
        return DeliveryError.BLOCKED_ADDRESS
    if any(isinstance(cause, NameNotFound) for cause in chain):
        return DeliveryError.DNS_FAILED
    if any(isinstance(cause, TimeoutError | httpx.TimeoutException) for cause in chain):
        return DeliveryError.TIMEOUT
    if any(isinstance(cause, ssl.SSLError) and not isinstance(cause, _NO_TLS_FAILURES) for cause in chain):
        return DeliveryError.TLS_FAILED
    return DeliveryError.CONNECT_FAILED


def _causes(failure: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = failure
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
