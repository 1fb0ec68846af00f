"""Example errors of the published description: the classes of `app.errors`, in the envelope that clients get.

They cannot drift from the service: the envelope is the handlers' own, and what is wrong with an example body is said
by the model that refuses it.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from app.api_limits import BODY_BYTES
from app.errors import (
    AppError,
    AuthenticationFailed,
    BodyTooLarge,
    IdempotencyConflict,
    InvalidInput,
    MalformedBody,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    RunTokenInvalid,
    Throttled,
    Unavailable,
    UnsupportedMediaType,
)
from app.web.auth import RunTokenGate, ScopeGate
from app.web.error_handlers import envelope
from app.web.openapi.examples import OperationExamples, on_the_wire
from app.web.validation import first_error

__all__ = ["error_examples", "public_error_examples"]

_SERVER_ERROR_STATUS = 500
# The one answer that no class of `app.errors` makes: it is not an expected failure.
_SERVER_ERROR = {
    "type": "server_error",
    "code": "error",
    "detail": "A server error occurred.",
    "attr": None,
}


def error_examples(
    status: int, gate: ScopeGate | RunTokenGate, examples: OperationExamples, *, has_body: bool
) -> dict[str, Any]:
    """Return bodies that an operation may answer with this status, by what has happened."""
    if status == _SERVER_ERROR_STATUS:
        return {"Unexpected error": _SERVER_ERROR}
    failures = _of_token() if isinstance(gate, RunTokenGate) else _failures(gate)
    shown = {name: orjson.loads(envelope(error).body) for name, error in failures[status].items()}
    if status == InvalidInput.status:
        if has_body:
            shown["Broken JSON"] = orjson.loads(envelope(_MALFORMED).body)
        if examples.refused:
            shown = {"A field breaks a rule": orjson.loads(envelope(_refusal(examples)).body)} | shown
    return shown | _refusals(status, examples)


def public_error_examples(status: int, examples: OperationExamples) -> dict[str, Any]:
    """Return bodies that an operation without a gate may answer with this status."""
    if status == _SERVER_ERROR_STATUS:
        return {"Unexpected error": _SERVER_ERROR}
    failures = [error for error in examples.failures if error.status == status]
    shown = {error.detail: orjson.loads(envelope(error).body) for error in failures}
    return shown | _refusals(status, examples)


def _refusals(status: int, examples: OperationExamples) -> dict[str, Any]:
    return {
        name: on_the_wire(refusal.body)
        for name, refusal in examples.refusals.items()
        if refusal.status == status
    }


_TOO_LARGE: Mapping[str, AppError] = {"Too large": BodyTooLarge(BODY_BYTES)}
_AWAY: Mapping[str, AppError] = {
    "Database away": Unavailable("The database does not answer. Please try again in a moment.")
}
_MALFORMED = MalformedBody("JSON parse error - unexpected end of data: line 1 column 2 (char 1)")


def _failures(gate: ScopeGate) -> Mapping[int, Mapping[str, AppError]]:
    no_key: dict[str, AppError] = {
        "No key": NotAuthenticated(),
        "Unknown or revoked key": AuthenticationFailed("Authorization header"),
    }
    no_scope: dict[str, AppError] = {
        "The key lacks the scope": PermissionDenied(f"API key missing required scope '{gate.scope}'")
    }
    no_member: dict[str, AppError] = {
        "Not a member of the project": PermissionDenied("You don't have access to the project.")
    }
    return {
        400: {},
        401: no_key,
        403: (no_scope | no_member | no_key) if gate.in_project else no_scope,
        404: {"Not there, or not visible": NotFound(), "No such project": NotFound("Project not found.")},
        409: {"The key was used with another request": IdempotencyConflict()},
        413: _TOO_LARGE,
        415: {"Not JSON": UnsupportedMediaType("text/plain")},
        429: {"Budget used up": Throttled(retry_after=17)},
        503: _AWAY,
    }


def _of_token() -> Mapping[int, Mapping[str, AppError]]:
    """Return the same for routes of a run's token, whose bodies are lines."""
    words = "Line 3: JSON parse error - unexpected end of data: line 1 column 2 (char 1)."
    return {
        400: {"A line is broken": MalformedBody(f"{words} Events up to number 2 were taken.")},
        403: {"No token": NotAuthenticated(), "Not a token of ours, or too old": RunTokenInvalid()},
        404: {"The token is for another run, or the run is not visible any more": NotFound()},
        409: {},
        413: _TOO_LARGE,
        503: _AWAY,
    }


def _refusal(examples: OperationExamples) -> AppError:
    """Return what the model says of the input that it refuses."""
    assert examples.refused is not None
    model, given = examples.refused
    try:
        model.model_validate(given)
    except ValidationError as error:
        return first_error(error.errors(include_url=False))
    raise AssertionError(f"{model.__name__} takes {given!r}, so it is no example of a refusal")
