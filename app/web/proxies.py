"""Apply the headers in which a proxy reports the client's address, scheme and requested host."""

import re
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class TrustedProxies:
    """Middleware that sets a request's host, scheme and client address from X-Forwarded-Host, -Proto and -For.

    Only of requests from `trusted`, addresses and networks separated by commas. The client is the last address in
    X-Forwarded-For that is not among them.
    """

    def __init__(self, app: ASGIApp, *, trusted: str) -> None:
        self._app = app
        # uvicorn and starlette name the same protocol differently.
        self._others: Any = ProxyHeadersMiddleware(cast("Any", app), trusted_hosts=trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client = scope.get("client")
            if client is not None and client[0] in self._others.trusted_hosts:
                scope["headers"] = _with_forwarded_host(scope["headers"])
        await self._others(scope, receive, send)


def _with_forwarded_host(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    forwarded = [value for name, value in headers if name == b"x-forwarded-host"]
    # Of several hosts the last one counts: the nearest proxy added it, while the client may have sent the others.
    host = forwarded[-1].rpartition(b",")[2].strip() if forwarded else b""
    if not _HOST.fullmatch(host):
        return headers
    return [(b"host", host), *(pair for pair in headers if pair[0] != b"host")]
