"""Assertions about responses, in the contract's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx


def assert_error(
    response: httpx.Response,
    status: int,
    *,
    type: str,  # noqa: A002 - the name of the key on the wire
    code: str,
    detail: str | None,
    attr: str | None = None,
) -> None:
    """Check that a response has the error envelope of contract 2.4.

    With `detail` None its text may be anything.
    """
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    # Upstream's handler drops the challenge, and a browser would open a dialog (contract 2.2).
    assert "www-authenticate" not in response.headers
    body = response.json()
    assert list(body) == ["type", "code", "detail", "attr"]
    words = body["detail"] if detail is None else detail
    assert body == {"type": type, "code": code, "detail": words, "attr": attr}
    assert body["detail"]


def assert_invalid(response: httpx.Response, attr: str | None, code: str, detail: str | None = None) -> None:
    """Check that a response is 400 because the field `attr`, or with None the body, breaks a rule."""
    assert_error(response, 400, type="validation_error", code=code, detail=detail, attr=attr)


def assert_parse_error(response: httpx.Response) -> None:
    """Check that a response is 400 because the request's body is no JSON."""
    assert_error(response, 400, type="invalid_request", code="parse_error", detail=None)
    assert response.json()["detail"].startswith("JSON parse error - ")


def assert_not_authenticated(response: httpx.Response, status: int) -> None:
    detail = "Authentication credentials were not provided."
    assert_error(response, status, type="authentication_error", code="not_authenticated", detail=detail)


def assert_key_refused(response: httpx.Response, status: int, place: str = "Authorization header") -> None:
    detail = f"Personal API key found in request {place} is invalid."
    assert_error(response, status, type="authentication_error", code="authentication_failed", detail=detail)


def assert_not_allowed(response: httpx.Response, method: str) -> None:
    detail = f'Method "{method}" not allowed.'
    assert_error(response, 405, type="invalid_request", code="method_not_allowed", detail=detail)


def assert_not_found(response: httpx.Response, detail: str = "Not found.") -> None:
    assert_error(response, 404, type="invalid_request", code="not_found", detail=detail)


def assert_permission_denied(response: httpx.Response, detail: str) -> None:
    assert_error(response, 403, type="authentication_error", code="permission_denied", detail=detail)


def assert_page(response: httpx.Response, *, count: int) -> list[dict[str, Any]]:
    """Check that a response is a page of contract 2.6 with this total count, and return its rows."""
    assert response.status_code == 200, response.text
    body = response.json()
    assert list(body) == ["count", "next", "previous", "results"]
    assert body["count"] == count
    results: list[dict[str, Any]] = body["results"]
    return results


@contextmanager
def concerning(case: object) -> Iterator[None]:
    """Add the case to the message of an assertion that fails in the block."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"This concerns: {case}")
        raise
