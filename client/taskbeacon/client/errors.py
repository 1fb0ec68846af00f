"""Errors of the client, as a tree: the class says what a caller can do.

TaskbeaconError             `code` is for programs; `retryable` says that the same request may succeed later
├── ApiError                the server refuses; `attr` names the invalid field, `body` is the whole answer
│   ├── BadRequest          the request is wrong: 400, 413, 415, 422, and all of 4xx that has no other class
│   ├── AccessDenied        401, 403
│   ├── NotFound            404
│   ├── Conflict            the state does not allow it: 409, 410, 412, and 400 with `error`
│   ├── RateLimited         429
│   └── ServerError         5xx, a redirect, or an answer that is not what the API describes (`bad_answer`)
├── ConnectionFailed        the server cannot be reached, or does not answer
├── WaitTimeout             the time that the caller allowed is over
└── InvalidSignature        a webhook message is not signed by one of the secrets within 5 minutes, or is no event
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_MESSAGE_CHARACTERS = 2000


class TaskbeaconError(Exception):
    code = "error"
    # In seconds, None if the server names no time.
    retry_after: float | None = None

    def __init__(
        self, message: str, *, code: str | None = None, request_id: str | None = None, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.request_id = request_id
        self.retryable = retryable


class ApiError(TaskbeaconError):
    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        attr: str | None = None,
        extra: Any = None,  # Any: JSON, as in `body`
        body: Any = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id, retryable=status in RETRYABLE_STATUSES)
        self.status = status
        self.attr = attr
        self.extra = extra
        self.body = body


class BadRequest(ApiError): ...


class AccessDenied(ApiError): ...


class NotFound(ApiError): ...


class Conflict(ApiError): ...


class RateLimited(ApiError): ...


class ServerError(ApiError): ...


class ConnectionFailed(TaskbeaconError):
    def __init__(self, message: str) -> None:
        super().__init__(message, code="connection_failed", retryable=True)


class WaitTimeout(TaskbeaconError):
    code = "timeout"


class InvalidSignature(TaskbeaconError):
    code = "invalid_signature"


def bad_answer(what: str, *, status: int = 200, request_id: str | None = None) -> ServerError:
    """Return the error for an answer that is not what the API describes."""
    return ServerError(what, code="bad_answer", status=status, request_id=request_id)


_KINDS: Mapping[int, type[ApiError]] = {
    **dict.fromkeys((401, 403), AccessDenied), **dict.fromkeys((409, 410, 412), Conflict),
    404: NotFound, 429: RateLimited,
}  # fmt: skip
_FIRST_OF_CLIENT, _FIRST_OF_SERVER = 400, 500
# Of answers that name none.
_CODES: Mapping[type[ApiError], str] = {NotFound: "not_found", Conflict: "conflict"}


def error_of(status: int, headers: Mapping[str, str], body: Any) -> ApiError:  # Any: JSON, None if it is none
    """Return the error for an answer that is no success. The names of headers are in lower case."""
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    refused = fields.get("error")
    other = BadRequest if _FIRST_OF_CLIENT <= status < _FIRST_OF_SERVER else ServerError
    is_of_state = status == _FIRST_OF_CLIENT and isinstance(refused, str)
    kind = Conflict if is_of_state else _KINDS.get(status, other)
    said = fields.get("detail") or refused
    code = fields.get("code")
    if not isinstance(code, str):
        code = _CODES.get(kind, "invalid_request") if fields else "bad_answer"
    message = str(said)[:_MESSAGE_CHARACTERS] if said else f"The server answered {status}."
    more = {"attr": fields.get("attr"), "extra": fields.get("extra"), "body": body}
    error = kind(message, code=code, status=status, request_id=headers.get("x-request-id"), **more)
    error.retry_after = _retry_after(headers.get("retry-after"))
    return error


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(value))
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to load

    with suppress(ValueError, OverflowError):
        at = parsedate_to_datetime(value)
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None
