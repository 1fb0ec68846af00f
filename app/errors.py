"""Expected failures, as a tree. Each has an HTTP status and a body; none depends on the web framework.

AppError                        answered as the four-key envelope (contract 2.4)
├── InvalidInput           400  a field, or the whole body, breaks a rule
├── MalformedBody          400  the body is not JSON, is nested too deeply, or cannot be stored
├── MalformedRequest       400  the request is not valid HTTP
├── AuthenticationError    401  (403 on the routes of a project: web/errors.py)
│   ├── NotAuthenticated        no credential
│   ├── AuthenticationFailed    the credential is unknown, revoked, or belongs to an inactive user
│   ├── UserDeleted             the user was deleted after the credential was read
│   ├── SessionEnded            the console session, or the login link, has ended
│   └── RunTokenInvalid         the run token is invalid or has expired
├── PermissionDenied       403  the caller is known, but not allowed
│   └── WrongSignature          a webhook was not signed with its secret
├── LoginRefused           400  a terminal gets no key: not yet, or never, by the code
├── NotFound               404  it does not exist, or is not visible: the caller cannot distinguish them
├── MethodNotAllowed       405
├── RequestTimeout         408  the head or the body takes too long to arrive; the connection is closed
├── IdempotencyConflict    409  the Idempotency-Key was used with another request within 24 hours
├── AmbiguousReference     409  a reference names more than one task or run
├── QuestionChanged        409  the question is not the one that the caller was shown
├── VersionConflict        409  what is replaced was written since it was read; `extra` holds it as it is now
├── QuestionSettled             a question no longer takes an answer; `extra` holds the one that it has
│   ├── AlreadyAnswered    409  another answer to the question came first
│   └── QuestionClosed     410  the question has expired or was withdrawn
├── BodyTooLarge           413
├── UnsupportedMediaType   415  the body is not sent as JSON
├── Throttled              429  the caller is over a rate limit
├── HeadTooLarge           431  the path, the query or the headers are too large; the connection is closed
├── ServerError            500  not expected: web/middleware.py answers it for any other exception
└── Unavailable            503  a server that we depend on does not respond, or the service is too busy
RequestRefused                  answered with another body (contract 2.4, "other bodies")
├── RunRefused             400  {"detail": …}: the run cannot be created (5.8, steps 4 to 8)
├── StateRefused           400  {"error": …}: the state of a run or an artifact does not allow it
├── ArtifactNotFound       404  {"error": …}: neither the run nor one that it resumes has the file
├── EventsMissing          409  {"last_accepted_seq": …}: an event was left out
└── UsageLimitExceeded     429  {"type": "rate_limited", …}: the project may not have another cloud run
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

_ECHO_LIMIT = 200  # characters of the caller's text in a message


class AppError(Exception):
    """Base class of errors with the response `{type, code, detail, attr}`, and `extra` if it is given."""

    status: int = 400
    type: ClassVar[str] = "invalid_request"
    code: str = "error"
    detail: str = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        attr: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        self.detail = detail or self.detail
        self.code = code or self.code
        self.attr = attr
        self.extra = extra
        super().__init__(self.detail)

    def with_detail(self, detail: str) -> Self:
        # Not by calling the class: the parameters of `__init__` differ from the attributes.
        copied = type(self).__new__(type(self), detail)
        vars(copied).update(vars(self), detail=detail)
        return copied

    @property
    def body(self) -> dict[str, Any]:
        extra = {} if self.extra is None else {"extra": self.extra}
        return {"type": self.type, "code": self.code, "detail": self.detail, "attr": self.attr, **extra}


class InvalidInput(AppError):
    type = "validation_error"
    code = "invalid_input"


def no_more_than(limit: int, unit: str = "characters") -> str:
    """Return the text of an error about a value that is too long (contract 2.4)."""
    return f"Ensure this field has no more than {limit} {unit}."


def too_long(limit: int, unit: str = "characters", *, attr: str) -> InvalidInput:
    return InvalidInput(no_more_than(limit, unit), code="max_length", attr=attr)


def unknown_key(key: object, *, attr: str) -> InvalidInput:
    """Return the error for the key of an object that does not exist, or that the caller cannot use."""
    return InvalidInput(f'Invalid pk "{key}" - object does not exist.', code="does_not_exist", attr=attr)


def unknown_choice(word: str, choices: Iterable[str], *, attr: str) -> InvalidInput:
    """Return the error for a word that is none of the choices, which its message lists (contract 2.4)."""
    detail = f'"{word[:_ECHO_LIMIT]}" is not a valid choice; choose from {", ".join(choices)}.'
    return InvalidInput(detail, code="invalid_choice", attr=attr)


class MalformedBody(AppError):
    code = "parse_error"


class MalformedRequest(AppError):
    code = "parse_error"


class AuthenticationError(AppError):
    status = 401
    type = "authentication_error"


class NotAuthenticated(AuthenticationError):
    code = "not_authenticated"
    detail = "Authentication credentials were not provided."


class AuthenticationFailed(AuthenticationError):
    code = "authentication_failed"

    def __init__(self, place: str) -> None:
        super().__init__(f"Personal API key found in request {place} is invalid.")


class SessionEnded(AuthenticationError):
    code = "authentication_failed"
    detail = "The console session has ended."


class UserDeleted(AuthenticationError):
    code = "authentication_failed"
    detail = "The user no longer exists."


class RunTokenInvalid(AuthenticationError):
    code = "authentication_failed"
    detail = "The run token is invalid or has expired."


class PermissionDenied(AppError):
    status = 403
    type = "authentication_error"
    code = "permission_denied"


class WrongSignature(PermissionDenied):
    detail = "The signature does not fit."


class LoginRefused(AppError):
    code = "authorization_pending"
    detail = "Nobody has confirmed the code yet."


class NotFound(AppError):
    status = 404
    code = "not_found"
    detail = "Not found."


class MethodNotAllowed(AppError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, allowed: frozenset[str] = frozenset()) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allowed = allowed


class RequestTimeout(AppError):
    status = 408
    code = "request_timeout"
    detail = "The request took too long to arrive."


class IdempotencyConflict(AppError):
    status = 409
    code = "idempotency_conflict"
    detail = "This Idempotency-Key was used with another request."


class VersionConflict(AppError):
    status = 409
    code = "version_conflict"
    detail = "This was written since it was read."


class QuestionSettled(AppError):
    pass


class AlreadyAnswered(QuestionSettled):
    status = 409
    code = "already_answered"
    detail = "This question was answered already."


class QuestionClosed(QuestionSettled):
    status = 410
    code = "question_closed"
    detail = "This question is closed."


class AmbiguousReference(AppError):
    status = 409
    code = "ambiguous_reference"
    detail = "More than one matches. Give more of the id."


class QuestionChanged(AppError):
    status = 409
    code = "question_changed"
    detail = "This question has changed since it was shown."


class BodyTooLarge(AppError):
    status = 413
    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request body exceeds the limit of {limit} bytes.")


class UnsupportedMediaType(AppError):
    status = 415
    code = "unsupported_media_type"

    def __init__(self, media_type: str) -> None:
        super().__init__(f'Unsupported media type "{media_type}" in request.')


class Throttled(AppError):
    """The next request is allowed after `retry_after` seconds."""

    status = 429
    type = "throttled_error"
    code = "throttled"

    def __init__(self, retry_after: int) -> None:
        unit = "second" if retry_after == 1 else "seconds"
        super().__init__(f"Request was throttled. Expected available in {retry_after} {unit}.")
        self.retry_after = retry_after


class HeadTooLarge(AppError):
    status = 431
    code = "request_head_too_large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"Request head exceeds the limit of {limit}.")


class ServerError(AppError):
    status = 500
    type = "server_error"
    detail = "A server error occurred."


class Unavailable(AppError):
    status = 503
    type = "server_error"
    code = "unavailable"


class RequestRefused(Exception):
    """Base class of errors with a body of their own, of all keys that are not None."""

    status: ClassVar[int] = 400

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = {key: value for key, value in body.items() if value is not None}
        super().__init__(str(self.body))


class RunRefused(RequestRefused):
    def __init__(self, detail: str, *, missing_artifact_ids: list[str] | None = None) -> None:
        super().__init__({"detail": detail, "missing_artifact_ids": missing_artifact_ids})


class StateRefused(RequestRefused):
    def __init__(self, error: str, *, missing_artifact_ids: list[str] | None = None) -> None:
        super().__init__({"error": error, "missing_artifact_ids": missing_artifact_ids})


class ArtifactNotFound(RequestRefused):
    status = 404

    def __init__(self) -> None:
        super().__init__({"error": "Artifact not found on this run"})


class EventsMissing(RequestRefused):
    status = 409

    def __init__(self, *, last_accepted_seq: int) -> None:
        super().__init__({"last_accepted_seq": last_accepted_seq})


class UsageLimitExceeded(RequestRefused):
    status = 429

    def __init__(self, *, is_pro: bool, limit_type: str | None, reset_at: datetime | None) -> None:
        kind = {"type": "rate_limited", "code": "usage_limit_exceeded"}
        limit = {"is_pro": is_pro, "limit_type": limit_type, "reset_at": reset_at}
        super().__init__({**kind, "error": "This project is over its usage limit.", **limit})
