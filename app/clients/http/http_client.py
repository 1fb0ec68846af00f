"""The HTTP client of a process for all runs and hosts; each request has its own time limit.

It keeps no cookies: a cookie that a host sets for one run would be sent with the requests of other runs.
"""

import ssl
from collections.abc import AsyncIterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from app.clock import utcnow

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_MAX_ANSWER_BYTES = 4 * 2**20
_TIMEOUT_SECONDS = 10.0  # of each step of a request without its own time limit
# A longer wait is of no use to any caller.
_LONGEST_RETRY_AFTER_SECONDS = 3600.0


def create_http_client() -> httpx.AsyncClient:
    refusing = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(cookies=refusing, limits=_LIMITS, timeout=_TIMEOUT_SECONDS, verify=tls_context())


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings, with the trusted certificates. All HTTP clients of the process share one object."""
    return httpx.create_ssl_context()


async def read_answer_body(chunks: AsyncIterable[bytes]) -> bytes | None:
    """Return the body of an answer; None, without reading the rest, if it exceeds 4 MiB."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            return None
    return bytes(body)


def retry_after_seconds(header: str | None, *, longest: float = _LONGEST_RETRY_AFTER_SECONDS) -> float | None:
    """Return the delay in seconds that the value of a Retry-After header requests, at most `longest`."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), longest)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - utcnow()).total_seconds(), 0.0), longest)
