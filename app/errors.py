"""Expected failures, as a tree. Each has an HTTP status and a body; none depends on the web framework.

AppError                        answered as the four-key envelope (contract 2.4)
├── InvalidInput           400  a field, or the whole body, breaks a rule
├── MalformedBody          400  the body is not JSON, or cannot be stored
├── MalformedRequest       400  the request is not valid HTTP
├── AuthenticationError    401  (403 on the routes of a project: web/errors.py)
│   ├── NotAuthenticated        no credential
│   ├── AuthenticationFailed    the credential is unknown, revoked, or belongs to an inactive user
│   ├── SessionEnded            the console session, or the login link, has ended
│   └── RunTokenInvalid         the run token is invalid or has expired
├── PermissionDenied       403  the caller is known, but not allowed
├── NotFound               404  it does not exist, or is not visible: the caller cannot distinguish them
├── MethodNotAllowed       405
├── RequestTimeout         408  the head or the body takes too long to arrive
├── IdempotencyConflict    409  the Idempotency-Key was used with another request
├── QuestionChanged        409  the question is not the one that the caller was shown
├── QuestionSettled             a question no longer takes an answer; `extra` holds the one that it has
│   ├── AlreadyAnswered    409  another answer to the question came first
│   └── QuestionClosed     410  the question has expired or was withdrawn
├── BodyTooLarge           413
├── UnsupportedMediaType   415
├── Throttled              429
├── HeadTooLarge           431
└── Unavailable            503  a server that we depend on does not respond
RequestRefused                  answered with another body (contract 2.4, "other bodies")
├── RunRefused             400  {"detail": …}: the run cannot be created
├── StateRefused           400  {"error": …}: artifacts and run state
├── ArtifactNotFound       404  {"error": …}: the run has no such file
├── EventsMissing          409  {"last_accepted_seq": …}: an event was left out
└── UsageLimitExceeded     429  {"type": "rate_limited", …}: the project may not have another cloud run
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from typing_extensions import override

_ECHO_LIMIT = 200  # characters of the caller's text in a message


class AppError(Exception):
    """Base class of expected errors with the response `{type, code, detail, attr}` (contract 2.4)."""

    status: int = 400
    type: ClassVar[str] = "invalid_request"
    code: str = "error"

    def __init__(self, detail: str, *, code: str | None = None, attr: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.attr = attr
        if code is not None:
            self.code = code

    def with_detail(self, detail: str) -> Self:
        """Return a copy of the error with `detail` as its message."""
        # Not by the class itself: the parameters of its `__init__` are others than its fields.
        copied = type(self).__new__(type(self), detail)
        vars(copied).update(vars(self), detail=detail)
        return copied

    def envelope(self) -> dict[str, Any]:
        """Return the body of the error response; errors with more data add the key `extra`."""
        return {"type": self.type, "code": self.code, "detail": self.detail, "attr": self.attr}


class InvalidInput(AppError):
    """A field of the request is invalid. `attr` names the field; it is None if the whole body is invalid."""

    type = "validation_error"
    code = "invalid_input"


def unknown_choice(word: str, choices: Iterable[str], *, attr: str) -> InvalidInput:
    """Return the error for a word that is none of the choices, which its message lists (contract 2.4)."""
    detail = f'"{word[:_ECHO_LIMIT]}" is not a valid choice; choose from {", ".join(choices)}.'
    return InvalidInput(detail, code="invalid_choice", attr=attr)


class MalformedBody(AppError):
    """The request's body cannot be parsed. For example, it is not JSON, or is nested too deeply."""

    code = "parse_error"


class MalformedRequest(AppError):
    """The request is not valid HTTP."""

    code = "parse_error"


class AuthenticationError(AppError):
    """Base class: the caller of the request cannot be identified."""

    status = 401
    type = "authentication_error"


class NotAuthenticated(AuthenticationError):
    """The request carries no credential."""

    code = "not_authenticated"

    def __init__(self) -> None:
        super().__init__("Authentication credentials were not provided.")


class AuthenticationFailed(AuthenticationError):
    """The credential in the `place` of the request is unknown, revoked, or belongs to an inactive user."""

    code = "authentication_failed"

    def __init__(self, place: str) -> None:
        super().__init__(f"Personal API key found in request {place} is invalid.")


class SessionEnded(AuthenticationError):
    """The console session has ended, or the code of a login link was used already or is too old."""

    code = "authentication_failed"

    def __init__(self, detail: str = "The console session has ended.") -> None:
        super().__init__(detail)


class RunTokenInvalid(AuthenticationError):
    """The run token is invalid or has expired."""

    code = "authentication_failed"

    def __init__(self) -> None:
        super().__init__("The run token is invalid or has expired.")


class PermissionDenied(AppError):
    """The caller is identified, but not allowed to make this request."""

    status = 403
    type = "authentication_error"
    code = "permission_denied"


class NotFound(AppError):
    """The resource does not exist, or the caller cannot see it. The response does not show which."""

    status = 404
    code = "not_found"

    def __init__(self, detail: str = "Not found.") -> None:
        super().__init__(detail)


class MethodNotAllowed(AppError):
    """The path does not accept the request's HTTP method, but those `allowed`."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, allowed: frozenset[str] = frozenset()) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allowed = allowed


class RequestTimeout(AppError):
    """The client did not send the complete request in time. Its connection is closed after the response."""

    status = 408
    code = "request_timeout"

    def __init__(self) -> None:
        super().__init__("The request took too long to arrive.")


class IdempotencyConflict(AppError):
    """The caller used this Idempotency-Key with another request in the last 24 hours."""

    status = 409
    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used with another request.")


class QuestionSettled(AppError):
    """Base class: a question takes no further answer. `winner` is the one that closed it, with None without one."""

    def __init__(self, detail: str, winner: Mapping[str, object]) -> None:
        super().__init__(detail)
        self.winner = winner

    @override
    def envelope(self) -> dict[str, Any]:
        return {**super().envelope(), "extra": self.winner}


class AlreadyAnswered(QuestionSettled):
    """The question already has an answer, because another answer arrived first."""

    status = 409
    code = "already_answered"

    def __init__(self, winner: Mapping[str, object]) -> None:
        super().__init__("This question was answered already.", winner)


class QuestionClosed(QuestionSettled):
    """The question no longer accepts an answer, because it has expired or was withdrawn."""

    status = 410
    code = "question_closed"

    def __init__(self, winner: Mapping[str, object]) -> None:
        super().__init__("This question is closed.", winner)


class QuestionChanged(AppError):
    """The question has changed since it was shown to the caller, so the answer is refused."""

    status = 409
    code = "question_changed"

    def __init__(self) -> None:
        super().__init__("This question has changed since it was shown.")


class BodyTooLarge(AppError):
    """The request's body is larger than `limit`, the largest size in bytes that its route accepts."""

    status = 413
    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request body exceeds the limit of {limit} bytes.")


class UnsupportedMediaType(AppError):
    """The Content-Type of the request's body is not JSON."""

    status = 415
    code = "unsupported_media_type"

    def __init__(self, media_type: str) -> None:
        super().__init__(f'Unsupported media type "{media_type}" in request.')


class Throttled(AppError):
    """The caller is over a rate limit. The next request is allowed after `retry_after` whole seconds."""

    status = 429
    type = "throttled_error"
    code = "throttled"

    def __init__(self, retry_after: int) -> None:
        unit = "second" if retry_after == 1 else "seconds"
        super().__init__(f"Request was throttled. Expected available in {retry_after} {unit}.")
        self.retry_after = retry_after


class HeadTooLarge(AppError):
    """The path, the query or the headers of the request are too large. The connection is closed after the response."""

    status = 431
    code = "request_head_too_large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"Request head exceeds the limit of {limit}.")


class Unavailable(AppError):
    """A server that this service depends on does not respond, or the service is too busy; try again."""

    status = 503
    type = "server_error"
    code = "unavailable"


class RequestRefused(Exception):
    """Base class of expected errors with a `body` of their own instead of `{type, code, detail, attr}`."""

    status: ClassVar[int] = 400

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


class RunRefused(RequestRefused):
    """A run cannot be created as requested (contract 5.8, steps 4 to 8)."""

    def __init__(self, detail: str, *, missing_artifact_ids: list[str] | None = None) -> None:
        body: dict[str, Any] = {"detail": detail}
        if missing_artifact_ids is not None:
            body["missing_artifact_ids"] = missing_artifact_ids
        super().__init__(body)


class StateRefused(RequestRefused):
    """An artifact or a run is in a state that does not allow the request."""

    def __init__(self, error: str, *, missing_artifact_ids: list[str] | None = None) -> None:
        body: dict[str, Any] = {"error": error}
        if missing_artifact_ids is not None:
            body["missing_artifact_ids"] = missing_artifact_ids
        super().__init__(body)


class ArtifactNotFound(RequestRefused):
    """Neither the run nor an earlier run that it resumes has the requested file (contract 6.4)."""

    status = 404

    def __init__(self) -> None:
        super().__init__({"error": "Artifact not found on this run"})


class EventsMissing(RequestRefused):
    """An upload of a run's numbered events leaves out the one after `last_accepted_seq`."""

    status = 409

    def __init__(self, last_accepted_seq: int) -> None:
        super().__init__({"last_accepted_seq": last_accepted_seq})


class UsageLimitExceeded(RequestRefused):
    """The project is over its usage limit for cloud runs (contract 5.8 step 3)."""

    status = 429

    def __init__(
        self, *, is_pro: bool, limit_type: str | None = None, reset_at: datetime | None = None
    ) -> None:
        body: dict[str, Any] = {
            "type": "rate_limited",
            "code": "usage_limit_exceeded",
            "error": "This project is over its usage limit.",
            "is_pro": is_pro,
        }
        if limit_type is not None:
            body["limit_type"] = limit_type
        if reset_at is not None:
            body["reset_at"] = reset_at
        super().__init__(body)
