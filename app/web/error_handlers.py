"""The single place where an error becomes bytes (contract 2.4)."""

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.clients.object_store import ObjectStoreUnavailable
from app.db import DatabaseUnavailable
from app.errors import AppError, MethodNotAllowed, NotFound, RequestRefused, Throttled, Unavailable
from app.web.answers import Json
from app.web.validation import first_error

__all__ = ["install_error_handlers"]

log = structlog.get_logger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    """Map every expected failure to its answer; what is left is `ObservabilityMiddleware`'s."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestRefused, _request_refused)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(DatabaseUnavailable, _database_unavailable)
    app.add_exception_handler(ObjectStoreUnavailable, _store_unavailable)


def envelope(error: AppError) -> Response:
    """Return the four-key answer of an expected failure."""
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(error.retry_after)
    body = {"type": error.type, "code": error.code, "detail": error.detail, "attr": error.attr}
    return Json(body, status_code=error.status, headers=headers)


async def _app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return envelope(error)


async def _request_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)
    return Json(error.body, status_code=error.status)


async def _validation_error(_request: Request, error: Exception) -> Response:
    """Answer FastAPI's own findings, which are about the query: bodies and paths are read by our dependencies."""
    assert isinstance(error, RequestValidationError)
    return envelope(first_error(error.errors(), skip=1))


async def _http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette's router raises: unknown routes and methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        allowed = _allowed_methods(request)
        if request.method == "OPTIONS":
            return Response(status_code=200, headers={"Allow": ", ".join(sorted(allowed))})
        return envelope(MethodNotAllowed(request.method, allowed))
    if error.status_code == NotFound.status:
        return envelope(NotFound())
    raise error


async def _database_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("database.unavailable", error=repr(error))
    return envelope(Unavailable("The database does not answer. Please try again in a moment."))


async def _store_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("object_store.unavailable", error=repr(error))
    return envelope(Unavailable("The object store does not answer. Please try again in a moment."))


def _allowed_methods(request: Request) -> frozenset[str]:
    """Return what any route of this path takes; Starlette itself would name only the first route's methods."""
    allowed = {"OPTIONS"}
    # Included routers stay objects of their own in `app.routes`; the contexts are the routes as they are served.
    for route in iter_route_contexts(request.app.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= route.methods or set()
    if "GET" in allowed:
        allowed.add("HEAD")
    return frozenset(allowed)
