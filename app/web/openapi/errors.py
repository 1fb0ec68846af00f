"""Describe the error responses of routes: most are components of the OpenAPI document, one for each status."""

from typing import Union

from app.api_limits import BODY_BYTES
from app.errors import (
    AppError,
    AuthenticationFailed,
    BodyTooLarge,
    IdempotencyConflict,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    ServerError,
    Throttled,
    Unavailable,
    UnsupportedMediaType,
)
from app.json_types import JsonDict
from app.schemas.errors import ErrorOut, QuestionSettledOut, UsageLimitOut
from app.web.responses import Json

Responses = dict[int | str, JsonDict]

# The meaning of each status, and an error with it as the example.
_ERRORS: dict[int, tuple[str, AppError]] = {
    400: (
        "The body or the query is invalid; `attr` names the field.",
        InvalidInput("This field may not be blank.", code="blank", attr="title"),
    ),
    401: ("The key is missing, unknown or revoked.", AuthenticationFailed("Authorization header")),
    403: (
        "The key is missing, unknown or revoked, lacks the scope, or may not use this project.",
        PermissionDenied("API key missing required scope 'task:write'"),
    ),
    404: ("The resource does not exist, or the caller may not see it.", NotFound()),
    405: (
        "The path does not accept this method; `Allow` lists the methods that it accepts.",
        MethodNotAllowed("POST"),
    ),
    409: ("The request conflicts with the current state of the resource.", IdempotencyConflict()),
    413: (f"The body is larger than {BODY_BYTES // 2**20} MB.", BodyTooLarge(BODY_BYTES)),
    415: ("The body is not JSON.", UnsupportedMediaType("text/plain")),
    429: (
        "The request limit is exceeded; `Retry-After` gives the seconds to wait.",
        Throttled(retry_after=17),
    ),
    500: (
        "An unexpected error. The service's log has the details under the response's `X-Request-Id`.",
        ServerError(),
    ),
    503: (
        "A server that the service depends on does not respond.",
        Unavailable("The database does not answer. Please try again in a moment."),
    ),
}
# For routes whose answers have a tag (`web/not_modified.py`).
_TAG = {
    "ETag": {
        "description": "The tag of this answer. A request with it in `If-None-Match` gets 304 while the answer "
        "is the same.",
        "schema": {"type": "string"},
    }
}
UNCHANGED: Responses = {
    200: {"headers": _TAG},
    304: {"description": "The answer is still the one with a tag in `If-None-Match`.", "headers": _TAG},
}
_OVER_LIMIT = 429
_OVER_LIMIT_MEANING = (
    "The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage "
    "limit."
)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the next request.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def errors(*statuses: int) -> Responses:
    """Return, for the `responses` of a route, errors that follow from neither its gate nor its body (document.py)."""
    # FastAPI adds a description where there is none, and that would override the description of the component.
    return {
        status: {"$ref": f"#/components/responses/Error{status}", "description": _ERRORS[status][0]}
        for status in statuses
    }


def refused(*bodies: type, status: int = 400) -> Responses:
    """Return a part of the argument `responses` of a route that may also be refused with one of these bodies."""
    return {status: _own(_ERRORS[status][0], *bodies)}


def over_limit() -> Responses:
    """Return a part of the argument `responses` of a route that a project over its usage limit may not use."""
    return {_OVER_LIMIT: _own(_OVER_LIMIT_MEANING, UsageLimitOut) | {"headers": _RETRY_AFTER}}


def settled(*statuses: int) -> Responses:
    """Return a part of the argument `responses` of a route that answers a question: errors with the answer to it."""
    closed = {409: _ERRORS[409][0], 410: "The question is closed."}
    return {status: _own(closed[status], QuestionSettledOut) for status in statuses}


def _own(description: str, *others: type) -> JsonDict:
    return {"model": Union[(ErrorOut, *others)], "description": description}


def shared_errors() -> JsonDict:
    """Return the components of the OpenAPI document to which the responses of routes refer, by their names."""
    components = {}
    for status, (meaning, error) in _ERRORS.items():
        content = {"schema": {"$ref": "#/components/schemas/ErrorOut"}, "example": error.body}
        component = {"description": meaning, "content": {Json.media_type: content}}
        if status == _OVER_LIMIT:
            component["headers"] = _RETRY_AFTER
        components[f"Error{status}"] = component
    return components
