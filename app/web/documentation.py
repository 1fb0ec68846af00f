"""What routers say about themselves for OpenAPI: the error answers that their gates can give."""

from typing import Any

from app.schemas.errors import ErrorOut

__all__ = ["errors"]

_MEANING = {
    400: "The body or the query breaks a rule; `attr` names the field.",
    401: "The key is missing, unknown or revoked.",
    403: "The key is missing, unknown or revoked, lacks the scope, or may not use this project.",
    404: "There is no such thing, or it is not visible to the caller.",
    409: "The request contradicts the state of what it is about.",
    413: "The body is larger than 20 MB.",
    415: "The body is not JSON.",
    429: "The project's budget of requests is used up; `Retry-After` says for how long.",
    503: "A server that the service depends on does not answer.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: these statuses, each with the envelope (contract 2.4)."""
    return {status: {"model": ErrorOut, "description": _MEANING[status]} for status in (*statuses, 503)}
