"""The client of GitHub's REST API over HTTP, and its errors. It does not retry: services/retrying/attempts.py."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import jwt
import orjson

from app.clients.http_client import retry_after_seconds
from app.clock import utcnow

TIMEOUT_SECONDS = 20.0
_MAX_ANSWER_BYTES = 4 * 2**20
_MAX_REASON_LENGTH = 500
_MAX_REDIRECTS = 3
_VERSION = "2022-11-28"
# GitHub accepts at most ten minutes, and its clock may differ from ours.
_JWT_LIFETIME = timedelta(minutes=9)
_JWT_LEEWAY = timedelta(minutes=1)
_LONGEST_URL = 2000
# The pause that GitHub asks for if a response about a limit has neither of its two headers.
_DEFAULT_PAUSE_SECONDS = 60.0


class GitHubError(Exception):
    """Base class: a request to a GitHub host failed. `message` is a sentence for people, without secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class GitHubUnavailable(GitHubError):
    """The GitHub host did not answer, had a fault, or limits the rate. The same request may work later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GitHubDenied(GitHubError):
    """The GitHub host refuses the credential, or the credential lacks a permission."""


class GitHubMissing(GitHubError):
    """The repository, pull request or installation does not exist, or the credential cannot see it."""


class GitHubRefused(GitHubError):
    """The GitHub host refuses the request because of its content."""


@dataclass(frozen=True, slots=True)
class GitHubAccess:
    """The URL of a GitHub host's API, and the token for requests to it."""

    api_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """An access token of a GitHub App for one installation of the App. It expires at `expires_at`, in UTC."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the GitHub host reports it. `url` is its web page, `body` its description."""

    number: int
    url: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPullRequest:
    """A pull request to create, with the names of GitHub's API: `head` is the branch to merge into `base`."""

    title: str
    body: str
    head: str
    base: str
    draft: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """A check run that has ended, with the names of GitHub's API: one for each commit and `external_id`."""

    name: str
    head_sha: str
    external_id: str
    conclusion: str
    title: str
    summary: str
    details_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """The status of a commit in a `context`, with the names of GitHub's API. The newest one counts."""

    state: str
    context: str
    description: str
    target_url: str


class GitHubClient:
    """Sends requests to GitHub's REST API. Each operation may raise a GitHubError."""

    def __init__(self, http: httpx.AsyncClient, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds

    async def create_installation_token(
        self, api_url: str, *, app_id: str, installation_id: str, private_key: str
    ) -> InstallationToken:
        """Return a new token of an installation of a GitHub App, whose private key is given as PEM."""
        now = utcnow()
        claims = {"iat": now - _JWT_LEEWAY, "exp": now + _JWT_LIFETIME, "iss": app_id}
        access = GitHubAccess(api_url, jwt.encode(claims, private_key, algorithm="RS256"))
        path = f"/app/installations/{quote(installation_id, safe='')}/access_tokens"
        answer = await self._ask(access, "POST", path)
        try:
            expires_at = datetime.fromisoformat(answer["expires_at"])
            return InstallationToken(str(answer["token"]), expires_at)
        except (KeyError, TypeError, ValueError) as error:
            raise GitHubUnavailable(_UNREADABLE) from error

    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        """Return the open pull request from this branch of the repository itself, or None if there is none."""
        owner = repository.partition("/")[0]
        query = f"?state=open&head={quote(f'{owner}:{branch}', safe='')}"
        answer = await self._ask(access, "GET", f"{_pulls(repository)}{query}")
        if not isinstance(answer, list):
            raise GitHubUnavailable(_UNREADABLE)
        return _pull_request(answer[0]) if answer else None

    async def create_pull_request(
        self, access: GitHubAccess, repository: str, wanted: NewPullRequest
    ) -> PullRequest:
        return _pull_request(await self._ask(access, "POST", _pulls(repository), asdict(wanted)))

    async def update_pull_request(
        self, access: GitHubAccess, repository: str, number: int, *, body: str
    ) -> PullRequest:
        """Replace the description of a pull request, and return the pull request."""
        path = f"{_pulls(repository)}/{number}"
        return _pull_request(await self._ask(access, "PATCH", path, {"body": body}))

    async def put_check_run(self, access: GitHubAccess, repository: str, wanted: CheckRun) -> None:
        """Create a check run, or replace the one that was created before. Only GitHub Apps may do this."""
        name = quote(wanted.name, safe="")
        query = f"?check_name={name}&filter=all&per_page=100"
        path = f"{_repository(repository)}/commits/{quote(wanted.head_sha)}/check-runs{query}"
        known = _check_run_of(await self._ask(access, "GET", path), wanted.external_id)
        content: dict[str, Any] = {
            "name": wanted.name,
            "external_id": wanted.external_id,
            "status": "completed",
            "conclusion": wanted.conclusion,
            "output": {"title": wanted.title, "summary": wanted.summary},
        }
        if wanted.details_url:
            content["details_url"] = wanted.details_url
        runs = f"{_repository(repository)}/check-runs"
        if known is None:
            await self._ask(access, "POST", runs, content | {"head_sha": wanted.head_sha})
        else:
            await self._ask(access, "PATCH", f"{runs}/{known}", content)

    async def create_status(
        self, access: GitHubAccess, repository: str, sha: str, wanted: CommitStatus
    ) -> None:
        content = {name: value for name, value in asdict(wanted).items() if value}
        await self._ask(access, "POST", f"{_repository(repository)}/statuses/{quote(sha)}", content)

    async def _ask(self, access: GitHubAccess, method: str, path: str, content: Any = None) -> Any:
        url = access.api_url.rstrip("/") + path
        for _ in range(_MAX_REDIRECTS):
            response, body = await self._send(access.token, method, url, content)
            if response.next_request is None:
                return _answer(response, body)
            asked, target = response.request.url, response.next_request.url
            if (target.scheme, target.netloc, target.userinfo) != (
                asked.scheme,
                asked.netloc,
                asked.userinfo,
            ):
                break
            url = str(target)
        raise GitHubRefused("The code host redirects to somewhere else.")

    async def _send(self, token: str, method: str, url: str, content: Any) -> tuple[httpx.Response, bytes]:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "taskbeacon",
        }
        body = bytearray()
        try:
            # For the whole request: httpx restarts its time limit with each piece of a slow response.
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._http.stream(
                    method,
                    url,
                    headers=headers,
                    content=None if content is None else orjson.dumps(content),
                    timeout=None,
                    follow_redirects=False,
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise GitHubUnavailable(_UNREADABLE)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            raise GitHubUnavailable(f"The code host does not answer ({type(error).__name__}).") from error
        return response, bytes(body)


_UNREADABLE = "The code host gave an answer that cannot be read."


def _repository(repository: str) -> str:
    return f"/repos/{quote(repository)}"


def _pulls(repository: str) -> str:
    return f"{_repository(repository)}/pulls"


def _answer(response: httpx.Response, body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    status, reason = response.status_code, _reason(answer)
    said = f"The code host answered {status}{f': {reason}' if reason else '.'}"
    delay = _requested_delay(response.headers, reason)
    limited = status == httpx.codes.TOO_MANY_REQUESTS or (
        status == httpx.codes.FORBIDDEN and delay is not None
    )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or limited:
        raise GitHubUnavailable(said, retry_after=delay)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise GitHubDenied(said)
    if status == httpx.codes.NOT_FOUND:
        raise GitHubMissing(said)
    if not response.is_success:
        raise GitHubRefused(said)
    if answer is None:
        raise GitHubUnavailable(_UNREADABLE)
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


def _reason(answer: Any) -> str:
    if not isinstance(answer, dict):
        return ""
    parts = [answer.get("message")]
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else []
    parts.extend(error.get("message") if isinstance(error, dict) else error for error in listed)
    return "; ".join(part for part in parts if isinstance(part, str))[:_MAX_REASON_LENGTH]


def _pull_request(answer: Any) -> PullRequest:
    try:
        number, url, body = int(answer["number"]), str(answer["html_url"]), answer.get("body")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GitHubUnavailable(_UNREADABLE) from error
    if urlsplit(url).scheme not in ("http", "https") or len(url) > _LONGEST_URL:
        raise GitHubUnavailable(_UNREADABLE)
    return PullRequest(number, url, body if isinstance(body, str) else "")


def _check_run_of(answer: Any, external_id: str) -> int | None:
    try:
        ids = [int(each["id"]) for each in answer["check_runs"] if each["external_id"] == external_id]
    except (KeyError, TypeError, ValueError) as error:
        raise GitHubUnavailable(_UNREADABLE) from error
    return ids[0] if ids else None
