"""Read the answers of GitHub's REST API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from app.clients.github.github_errors import GitHubRefused, GitHubUnavailable
from app.clients.http.http_client import retry_after_seconds
from app.clock import utcnow

UNREADABLE = "The code host gave an answer that cannot be read."
_MAX_REASON_LENGTH = 500
_LONGEST_URL = 2000
# The pause that GitHub documents for a response about a rate limit without `retry-after` and `x-ratelimit-reset`.
_DEFAULT_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    api_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    number: int
    url: str
    body: str


def answer_of(response: httpx.Response, body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    status, reason = response.status_code, _reason(answer)
    message = f"The code host answered {status}{f': {reason}' if reason else '.'}"
    delay = _requested_delay(response.headers, reason)
    limited = status == httpx.codes.TOO_MANY_REQUESTS or (
        status == httpx.codes.FORBIDDEN and delay is not None
    )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or limited:
        raise GitHubUnavailable(message, retry_after=delay)
    if not response.is_success:
        raise GitHubRefused(message)
    if answer is None:
        raise GitHubUnavailable(UNREADABLE)
    return answer


def _requested_delay(headers: Mapping[str, str], reason: str) -> float | None:
    delay = retry_after_seconds(headers.get("retry-after"))
    if delay is not None:
        return delay
    if headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        seconds = float(reset) - utcnow().timestamp() if reset.isdecimal() else _DEFAULT_PAUSE_SECONDS
        return max(seconds, 0.0)
    return _DEFAULT_PAUSE_SECONDS if "rate limit" in reason.lower() else None


def _reason(answer: object) -> str:
    if not isinstance(answer, dict):
        return ""
    parts = [answer.get("message")]
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else []
    parts.extend(error.get("message") if isinstance(error, dict) else error for error in listed)
    return "; ".join(part for part in parts if isinstance(part, str))[:_MAX_REASON_LENGTH]


def pull_request_of(answer: Any) -> PullRequest:
    try:
        number, url, body = int(answer["number"]), str(answer["html_url"]), answer.get("body")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GitHubUnavailable(UNREADABLE) from error
    if urlsplit(url).scheme not in ("http", "https") or len(url) > _LONGEST_URL:
        raise GitHubUnavailable(UNREADABLE)
    return PullRequest(number, url, body if isinstance(body, str) else "")


def check_run_of(answer: Any, external_id: str) -> int | None:
    try:
        ids = [int(each["id"]) for each in answer["check_runs"] if each["external_id"] == external_id]
    except (KeyError, TypeError, ValueError) as error:
        raise GitHubUnavailable(UNREADABLE) from error
    return ids[0] if ids else None
