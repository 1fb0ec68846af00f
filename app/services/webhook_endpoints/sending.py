"""Send a webhook message once: sign it, post it, and return the result; without the database."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import httpx

from app import __version__
from app.clients.guarded_http import DIALLED, BlockedAddress, NameNotFound
from app.clock import utcnow
from app.enums import DeliveryError
from app.services.webhook_endpoints.signing import signed_headers

FIXED_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"Taskbeacon-Webhooks/{__version__}",
    "Accept": "*/*",
    # The excerpt of a response is stored without decoding.
    "Accept-Encoding": "identity",
}
GONE = 410

_CONNECT_SECONDS = 5.0
_TOTAL_SECONDS = 15.0
# Time limit for the body of a response after its status.
_ANSWER_SECONDS = 2.0
_ANSWER_BYTES = 4096
_EXCERPT_BYTES = 1024
_LONGEST_RETRY_AFTER = timedelta(hours=24)
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


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook message with the URL that it is sent to and the secrets that sign it."""

    id: UUID
    url: str
    body: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one attempt to send a webhook message. `error` is None if the receiver accepted the message.

    `status_code`, `retry_after` and `excerpt` (the beginning of a text body) come from the response, if there was one.
    `address` is the IP address that the attempt connected to last.
    """

    started_at: datetime
    duration: timedelta
    error: DeliveryError | None = None
    status_code: int | None = None
    retry_after: timedelta | None = None
    excerpt: str | None = None
    address: str | None = None


async def send(http: httpx.AsyncClient, message: Message) -> AttemptResult:
    """Send a webhook message once, signed with all of its secrets; return the result.

    A failure of the network or of the receiver is a result too, no exception.

    Args:
        http: a client of `create_guarded_client`, which refuses forbidden addresses.
        message: the message to send.

    """
    started_at, began = utcnow(), asyncio.get_running_loop().time()
    dialled: list[str] = []
    status: int | None = None
    retry_after: timedelta | None = None
    excerpt: str | None = None
    error: DeliveryError | None = None
    try:
        async with asyncio.timeout(_TOTAL_SECONDS):
            request = http.build_request(
                "POST",
                message.url,
                content=message.body.encode(),
                headers=FIXED_HEADERS
                | signed_headers(str(message.id), message.body, message.secrets, now=started_at),
                timeout=httpx.Timeout(_TOTAL_SECONDS, connect=_CONNECT_SECONDS),
                extensions={DIALLED: dialled},
            )
            response = await http.send(request, stream=True)
        status = response.status_code
        error = _error_of(status)
        retry_after = parse_retry_after(response.headers.get("retry-after"), now=started_at)
        excerpt = await _read_excerpt(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
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


def _error_of(status: int) -> DeliveryError | None:
    if httpx.codes.is_success(status):
        return None
    if httpx.codes.is_redirect(status):
        return DeliveryError.REDIRECT
    return DeliveryError.HTTP_4XX if httpx.codes.is_client_error(status) else DeliveryError.HTTP_5XX


async def _read_excerpt(response: httpx.Response) -> str | None:
    """Return the beginning of a text response, and close the response; errors here are ignored."""
    read = bytearray()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            # Without a size: httpx would hold back what came so far of an answer that is shorter.
            async for chunk in response.aiter_raw():
                read += chunk
                if len(read) >= _ANSWER_BYTES:
                    break
    except (httpx.HTTPError, OSError):
        pass
    finally:
        await response.aclose()
    headers = response.headers
    if not read or "content-encoding" in headers or not _TEXT.match(headers.get("content-type", "")):
        return None
    return _NOT_SHOWN.sub(" ", bytes(read[:_EXCERPT_BYTES]).decode(errors="replace"))


def _classify(failure: BaseException) -> DeliveryError:
    """Return the kind of an error of sending: timeouts first, as a timeout in TLS contains TLS errors."""
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


def parse_retry_after(header: str | None, *, now: datetime) -> timedelta | None:
    """Return the delay that a `Retry-After` header asks for, as seconds or as a date; at most one day.

    Return None if the header is None or neither form. A date before `now` gives zero.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 10**8)), _LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), _LONGEST_RETRY_AFTER)
