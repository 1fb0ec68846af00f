"""Map expected errors, and outages of servers, to HTTP responses with JSON (contract 2.4).

`web/middleware.py` answers unexpected errors, `web/pages/action_route.py` errors of routes with an action token, and
`cli/serving/http_protocol.py` requests that never reach the application.
"""

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.errors import (
    AppError,
    AuthenticationError,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    RequestRefused,
    RequestTimeout,
    Throttled,
    Unavailable,
    UserDeleted,
)
from app.outages import DRIVER_ERRORS, Outage, is_database_outage, is_outage, is_value_refused
from app.services.accounts.users import is_of_deleted_user
from app.web.body import first_error
from app.web.responses import Json

# As in the reference API, a missing or wrong key is answered with 403 on the routes of a project, and with 401
# everywhere else (contract 2.2, 11 #1).
UNAUTHENTICATED_STATUS_IN_PROJECT = 403

log = structlog.get_logger(__name__)


def install_error_handlers(app: FastAPI) -> None:
    """Register the handlers that turn expected errors, outages and invalid queries into HTTP responses."""
    app.add_exception_handler(AppError, _expected_error)
    app.add_exception_handler(RequestRefused, _expected_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Outage, _outage)
    for driver_error in DRIVER_ERRORS:
        app.add_exception_handler(driver_error, _driver_error)


def answer_error(error: AppError | RequestRefused, *, status: int | None = None) -> Response:
    return Json(error.body, status_code=status or error.status, headers=headers_of(error))


def headers_of(error: Exception) -> dict[str, str]:
    """Return the headers that the response to this error needs: Allow, Retry-After, Connection, or none of these."""
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RequestTimeout):
        # Without it the server would wait for the rest of the body.
        headers["Connection"] = "close"
    return headers


async def _expected_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError | RequestRefused)
    if isinstance(error, MethodNotAllowed):
        error.allowed = _allowed_methods(request)
    if isinstance(error, AuthenticationError) and "project_id" in request.path_params:
        return answer_error(error, status=UNAUTHENTICATED_STATUS_IN_PROJECT)
    return answer_error(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer_error(first_error(error.errors(), skip=1))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        allowed = _allowed_methods(request)
        if request.method == "OPTIONS":
            return Response(status_code=200, headers={"Allow": ", ".join(sorted(allowed))})
        return answer_error(MethodNotAllowed(request.method, allowed))
    if error.status_code == NotFound.status:
        return answer_error(NotFound())
    raise error


async def _outage(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Outage)
    return _unavailable(error.server, error)


async def _driver_error(request: Request, error: Exception) -> Response:
    if is_of_deleted_user(error):
        return await _expected_error(request, UserDeleted())
    if is_outage(error):
        return _unavailable("database" if is_database_outage(error) else "cache", error)
    if is_value_refused(error):
        log.info("database.value_refused", error=repr(error))
        return answer_error(InvalidInput("A value is too large to be stored."))
    raise error


def _unavailable(server: str, error: Exception) -> Response:
    log.warning("server.unavailable", server=server, error=repr(error))
    return answer_error(Unavailable(f"The {server} does not answer. Please try again in a moment."))


def _allowed_methods(request: Request) -> frozenset[str]:
    allowed = {"OPTIONS"}
    path = None
    for route in request.app.routes:
        # `/tasks/repositories` is not a task: only the first matching path counts.
        if path in (None, route.path) and route.matches(request.scope)[0] is not Match.NONE:
            path = route.path
            allowed |= getattr(route, "methods", None) or set()
    if "GET" in allowed:
        allowed.add("HEAD")
    return frozenset(allowed)
