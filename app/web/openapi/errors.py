"""Describe the error responses of routes, for FastAPI and for the OpenAPI document.

Examples are the classes of `app.errors` in the envelope that clients get, so they cannot drift from the service.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from app.api_limits import BODY_BYTES
from app.errors import (
    AppError,
    AuthenticationFailed,
    BodyTooLarge,
    IdempotencyConflict,
    MalformedBody,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    RequestRefused,
    RunTokenInvalid,
    SessionEnded,
    Throttled,
    Unavailable,
    UnsupportedMediaType,
)
from app.schemas.errors import ErrorOut, QuestionSettledOut, RunRefusedOut, StateRefusedOut, UsageLimitOut
from app.web.auth import ConsoleGate, RunTokenGate, ScopeGate
from app.web.errors.handlers import envelope
from app.web.errors.validation import first_error
from app.web.middleware import SERVER_ERROR
from app.web.openapi.examples import REFUSALS
from app.web.responses import Json

Gate = ScopeGate | RunTokenGate | ConsoleGate
REFERENCE = "#/components/schemas/{model}"
BODIES_OF_ERRORS = (ErrorOut, QuestionSettledOut, RunRefusedOut, StateRefusedOut, UsageLimitOut)

_MEANING = {
    400: "The body or the query is invalid; `attr` names the field.",
    401: "The key is missing, unknown or revoked.",
    403: "The key is missing, unknown or revoked, lacks the scope, or may not use this project.",
    404: "The resource does not exist, or the caller may not see it.",
    405: "The path does not accept this method; `Allow` lists the methods that it accepts.",
    409: "The request conflicts with the current state of the resource.",
    410: "The question is closed.",
    413: f"The body is larger than {BODY_BYTES // 2**20} MB.",
    415: "The body is not JSON.",
    429: "The request limit is exceeded; `Retry-After` gives the seconds to wait.",
    500: "An unexpected error. The service's log has the details under the response's `X-Request-Id`.",
    503: "A server that the service depends on does not respond.",
}
_OVER_LIMIT_MEANING = (
    "The request limit is exceeded, and `Retry-After` gives the seconds to wait; or the project is over its usage "
    "limit."
)
_INVALID, _OVER_LIMIT, _SERVER_ERROR = 400, 429, 500
# Statuses that every route with a key can answer.
_ALWAYS = (500, 503)

Responses = dict[int | str, dict[str, Any]]


def errors(
    *statuses: int, refusals: tuple[type, ...] = (), refusal_status: int = 400, usage_gate: bool = False
) -> Responses:
    """Return the argument `responses` of a route: a description of its error responses, by status (contract 2.4).

    Args:
        statuses: the statuses of the route's errors. The statuses 500 and 503 are added.
        refusals: schemas of the other bodies, besides `{type, code, detail, attr}`, that an error with the status
            `refusal_status` may have.
        refusal_status: the status of errors that may have such a body.
        usage_gate: whether the route answers 429, with a body for this case, if the project is over its usage limit.

    """
    documented: Responses = {status: _response(_MEANING[status]) for status in (*statuses, *_ALWAYS)}
    if refusals:
        documented[refusal_status] = _response(_MEANING[refusal_status], *refusals)
    if usage_gate:
        documented[_OVER_LIMIT] = _response(_OVER_LIMIT_MEANING, UsageLimitOut)
    return documented


def settled(*statuses: int) -> Responses:
    """Return a part of the argument `responses` of a route that answers a question.

    It describes the errors with these statuses. Their bodies contain the answer that closed the question.
    """
    return {status: _response(_MEANING[status], QuestionSettledOut) for status in statuses}


def _response(description: str, *others: type) -> dict[str, Any]:
    bodies = [{"$ref": REFERENCE.format(model=body.__name__)} for body in (ErrorOut, *others)]
    schema = {"anyOf": bodies} if others else bodies[0]
    return {"description": description, "content": {Json.media_type: {"schema": schema}}}


# The only refusal of a probe, which has no key, no body and no parameter.
WRONG_METHOD: Responses = {405: _response(_MEANING[405])}


def examples_of_errors(
    operation_id: str,
    gate: Gate | None,
    model: type[BaseModel] | None,
    status: int,
    *,
    has_body: bool,
) -> Mapping[str, Any]:
    """Return example bodies of an operation's error responses with one status. Each key is a summary of the error.

    Args:
        operation_id: the id of the operation.
        gate: the dependency that checks the credential of its requests, or None if they need none.
        model: the model of the body of its requests; the model of their query if they have no body; None if they have
            neither.
        status: the status of the responses.
        has_body: whether its requests have a body.

    """
    if status == _SERVER_ERROR:
        return {"Unexpected error": SERVER_ERROR}
    shown: dict[str, AppError | RequestRefused] = {}
    if status == _INVALID and model is not None:
        shown["Invalid field"] = _refusal(model)
    if status == _INVALID and has_body:
        shown["Malformed JSON"] = MalformedBody(_BROKEN)
    shown |= _failures(gate, status)
    for error in REFUSALS.get(operation_id, ()):
        if error.status == status:
            shown[_summary(error)] = error
    return {name: _body(error) for name, error in shown.items()}


_TOO_LARGE: Mapping[str, AppError] = {"Too large": BodyTooLarge(BODY_BYTES)}
_AWAY: Mapping[str, AppError] = {
    "Database unavailable": Unavailable("The database does not answer. Please try again in a moment.")
}
_NO_KEY: Mapping[str, AppError] = {
    "Missing key": NotAuthenticated(),
    "Unknown or revoked key": AuthenticationFailed("Authorization header"),
}
_OF_KEY: Mapping[int, Mapping[str, AppError]] = {
    401: _NO_KEY,
    404: {"Not found, or not visible": NotFound(), "No such project": NotFound("Project not found.")},
    409: {"The key was used for a different request": IdempotencyConflict()},
    413: _TOO_LARGE,
    415: {"Not JSON": UnsupportedMediaType("text/plain")},
    429: {"Request limit reached": Throttled(retry_after=17)},
    503: _AWAY,
}
_OF_COOKIE: Mapping[int, Mapping[str, AppError]] = {
    401: {"Missing cookie": NotAuthenticated(), "The session has ended": SessionEnded()},
    403: {
        "Request from another site": PermissionDenied(
            "A request with the console's cookie must come from the console's own page."
        )
    },
}
_BROKEN = "JSON parse error - unexpected end of data: line 1 column 2 (char 1)"
_OF_TOKEN: Mapping[int, Mapping[str, AppError]] = {
    400: {"Malformed line": MalformedBody(f"Line 3: {_BROKEN}. Events up to number 2 were taken.")},
    403: {"Missing token": NotAuthenticated(), "Invalid or expired token": RunTokenInvalid()},
    404: {"The token belongs to another run, or its user may no longer see the run": NotFound()},
    413: _TOO_LARGE,
    503: _AWAY,
}


def _failures(gate: Gate | None, status: int) -> Mapping[str, AppError]:
    """Return the errors with this status of an operation's gate or body reader, by their summary."""
    if gate is None or isinstance(gate, RunTokenGate):
        return _OF_TOKEN.get(status, {}) if gate else {}
    if isinstance(gate, ConsoleGate):
        return {**_OF_KEY, **_OF_COOKIE}.get(status, {})
    if status != PermissionDenied.status:
        return _OF_KEY.get(status, {})
    no_scope = {"The key lacks the scope": PermissionDenied(f"API key missing required scope '{gate.scope}'")}
    no_member = {"Not a member of the project": PermissionDenied("You don't have access to the project.")}
    return {**no_scope, **no_member, **_NO_KEY} if gate.in_project else no_scope


def _refusal(model: type[BaseModel]) -> AppError:
    """Return the error of a model for invalid input: an empty object, or a field with an invalid text."""
    for given in ({}, *({name: odd} for odd in ("?", "\0") for name in model.model_fields)):
        try:
            model.model_validate(given)
        except ValidationError as error:
            return first_error(error.errors(include_url=False))
    raise AssertionError(f"{model.__name__} refuses nothing")


def _summary(error: AppError | RequestRefused) -> str:
    if isinstance(error, AppError):
        return error.detail
    return str(error.body.get("error") or error.body.get("detail") or "Out of order")


def _body(error: AppError | RequestRefused) -> Any:
    return orjson.loads((envelope(error) if isinstance(error, AppError) else Json(error.body)).body)
