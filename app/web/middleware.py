"""Pure ASGI middleware: the optional trailing slash, HEAD, headers, request ids, the access log and its metrics."""

import asyncio
import re
import time
from functools import cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import MethodNotAllowed, ServerError
from app.ids import new_hex_id
from app.tracing.spans import Attributes, Span, span_of_request
from app.web.asgi_keys import IS_ENDLESS, IS_HEAD, ORIGINAL_PATH, RATE_LIMIT
from app.web.errors import answer_error

_REQUESTS = Counter("taskbeacon_http_requests_total", "Answered requests.", ["method", "route", "status"])
_SECONDS = Histogram(
    "taskbeacon_http_request_seconds", "Time from the request to the end of its answer.", ["method", "route"]
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# A request id is taken over from a proxy only if it cannot forge a log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
# The status that proxies log for a client that disconnected early; it is never sent.
_CLIENT_GONE = 499
# Monitoring requests these all the time, so they are not logged. They have no parameters, so their paths are routes.
_QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
_ERRORS_FROM = 500
# The headers of every response that does not set them itself. Caches must ask again each time: the response differs by
# key and cookie, and either may have expired.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization, Cookie"),
)

log = structlog.get_logger(__name__)


class SameAnswerMiddleware:
    """Middleware that answers a path with a trailing slash like the path without it, and HEAD like GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            scope[ORIGINAL_PATH] = path
            # Changed in place, because outer layers read what the router sets in this scope.
            if len(path) > 1 and path.endswith("/"):
                scope["path"] = path[:-1]
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
                scope[IS_HEAD] = True
                send = _without_body(scope, send)
        await self.app(scope, receive, send)


def _without_body(scope: Scope, send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        # The server reads the method here to decide whether the announced body must follow.
        scope["method"] = "HEAD"
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_without_body


class ObservabilityMiddleware:
    """Middleware that gives each request an id, its response the headers for caches, and counts and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # Bound once, because binding takes a third of the time of a log line.
        self._log = log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "other"
        structlog.contextvars.clear_contextvars()
        is_quiet = scope["path"] in _QUIET_ROUTES
        with Span() if is_quiet else span_of_request(method, scope["headers"]) as span:
            await self._answer(scope, receive, send, method, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, method: str, span: Span) -> None:
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                own = {name for name, _ in headers}
                headers += [header for header in _HEADERS if header[0] not in own]
                headers.append((b"x-request-id", request_id.encode()))
                headers += scope.get(RATE_LIMIT, ())
                message["headers"] = headers
                if IS_ENDLESS in scope:
                    _end(span, scope, method, status, request_id)
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_GONE
        except asyncio.CancelledError:
            # If the response has begun, its own status counts.
            status = status or _CLIENT_GONE
            raise
        except Exception:
            log.exception("http.unexpected_error")
            if status:
                # The response has begun: abort it, so that the client sees that it is incomplete.
                raise
            await answer_error(ServerError())(scope, receive, send_with_id)
        finally:
            self._record(scope, method, status, time.perf_counter() - started)
            _end(span, scope, method, status, request_id)

    def _record(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = _route(scope, status)
        requests, durations = _series(method, route, status)
        requests.inc()
        if IS_ENDLESS not in scope:
            durations.observe(seconds)
        if route not in _QUIET_ROUTES:
            # Without the query, which may contain a credential.
            self._log.info(
                "http.request",
                method=method,
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 2),
            )


def _route(scope: Scope, status: int) -> str:
    # Requests with a method that the route does not have count as unmatched, which bounds the number of series.
    matched = None if status == MethodNotAllowed.status else scope.get("route")
    return getattr(matched, "path", "unmatched")


def _end(span: Span, scope: Scope, method: str, status: int, request_id: str) -> None:
    if span.is_open:
        # Not the path and the query, which may contain a credential.
        route = _route(scope, status)
        standard: Attributes = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        span.set(standard, error=str(status) if status >= _ERRORS_FROM else None, request_id=request_id)
        span.end(name=f"{method} {route}")


@cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(method, route, status), _SECONDS.labels(method, route)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return str(text)
    return new_hex_id()
