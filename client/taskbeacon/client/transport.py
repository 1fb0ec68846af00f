"""What both transports share: how a step becomes a call of httpx, and its outcome an `Answer`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from taskbeacon.client.errors import ConnectionFailed
from taskbeacon.client.settings import is_loopback
from taskbeacon.client.steps import Answer, Request

log = logging.getLogger("taskbeacon.client")


def options_of(url: str, timeout: float) -> dict[str, Any]:
    """Return the arguments of httpx's clients for a server. Redirects are not followed: the key is for one host."""
    return {
        "timeout": timeout,
        "follow_redirects": False,
        "trust_env": not is_loopback(url),
        # Without TLS there is nothing to verify, and loading the certificates takes longer than all else.
        "verify": not url.startswith("http:"),
    }


def arguments_of(request: Request, timeout: float) -> dict[str, Any]:
    """Return the arguments of `build_request`, but those of an upload."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "content": request.content,
        "data": None if request.form is None else dict(request.form),
        "timeout": httpx.Timeout(timeout, read=request.timeout or timeout),
    }


def answer_of(response: httpx.Response, body: bytes = b"") -> Answer:
    request = response.request
    log.debug("%s %s %d", request.method, request.url, response.status_code)
    return Answer(response.status_code, {name.lower(): text for name, text in response.headers.items()}, body)


@contextmanager
def failures(url: object) -> Iterator[None]:
    """Raise ConnectionFailed for what httpx raises while it asks a server."""
    try:
        yield
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = str(error) or type(error).__name__
        log.debug("%s failed: %s", url, reason)
        raise ConnectionFailed(f"{url} does not answer: {reason}") from error
