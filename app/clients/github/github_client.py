"""The client of GitHub's REST API over HTTP. It does not retry: services/retrying/retries.py."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import orjson

from app.clients.github.github_answers import (
    UNREADABLE,
    GitHubAccess,
    InstallationToken,
    PullRequest,
    answer_of,
    check_run_of,
    pull_request_of,
)
from app.clients.github.github_errors import GitHubRefused, GitHubUnavailable
from app.clients.http.http_client import read_answer_body
from app.clock import utcnow

TIMEOUT_SECONDS = 20.0
# GitHub refuses more than 100 parallel requests of one account, and several workers may use the same account.
MAX_PARALLEL_REQUESTS = 20
_MAX_REDIRECTS = 3
_VERSION = "2022-11-28"
# GitHub accepts at most ten minutes, and its clock may differ from ours.
_JWT_LIFETIME = timedelta(minutes=9)
_JWT_LEEWAY = timedelta(minutes=1)


class GitHubClient:
    """Sends requests to GitHub's REST API; `content` is a body as GitHub names it. Each may raise a GitHubError."""

    def __init__(self, http: httpx.AsyncClient, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._http = http
        self._timeout_seconds = timeout_seconds
        self._slots = asyncio.Semaphore(MAX_PARALLEL_REQUESTS)

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
            raise GitHubUnavailable(UNREADABLE) from error

    async def find_pull_request(
        self, access: GitHubAccess, repository: str, branch: str
    ) -> PullRequest | None:
        """Return the open pull request from this branch of the repository itself, or None if there is none."""
        owner = repository.partition("/")[0]
        query = f"?state=open&head={quote(f'{owner}:{branch}', safe='')}"
        answer = await self._ask(access, "GET", f"{_pulls(repository)}{query}")
        if not isinstance(answer, list):
            raise GitHubUnavailable(UNREADABLE)
        return pull_request_of(answer[0]) if answer else None

    async def create_pull_request(
        self, access: GitHubAccess, repository: str, content: Mapping[str, object]
    ) -> PullRequest:
        return pull_request_of(await self._ask(access, "POST", _pulls(repository), content))

    async def update_pull_request(
        self, access: GitHubAccess, repository: str, number: int, *, body: str
    ) -> PullRequest:
        path = f"{_pulls(repository)}/{number}"
        return pull_request_of(await self._ask(access, "PATCH", path, {"body": body}))

    async def put_check_run(
        self, access: GitHubAccess, repository: str, sha: str, content: Mapping[str, Any]
    ) -> None:
        """Create the check run of a commit with this `external_id`, or replace it. Only GitHub Apps may do this."""
        query = f"?check_name={quote(content['name'], safe='')}&filter=all&per_page=100"
        path = f"{_repository(repository)}/commits/{quote(sha)}/check-runs{query}"
        known = check_run_of(await self._ask(access, "GET", path), content["external_id"])
        runs = f"{_repository(repository)}/check-runs"
        if known is None:
            await self._ask(access, "POST", runs, {**content, "head_sha": sha})
        else:
            await self._ask(access, "PATCH", f"{runs}/{known}", content)

    async def create_status(
        self, access: GitHubAccess, repository: str, sha: str, content: Mapping[str, object]
    ) -> None:
        await self._ask(access, "POST", f"{_repository(repository)}/statuses/{quote(sha)}", content)

    async def _ask(self, access: GitHubAccess, method: str, path: str, content: object = None) -> Any:
        url = access.api_url.rstrip("/") + path
        for _ in range(_MAX_REDIRECTS):
            response, body = await self._send(access.token, method, url, content)
            if response.next_request is None:
                return answer_of(response, body)
            target = response.next_request.url
            if _origin(target) != _origin(response.request.url):
                break
            url = str(target)
        raise GitHubRefused("The code host redirects to somewhere else.")

    async def _send(self, token: str, method: str, url: str, content: object) -> tuple[httpx.Response, bytes]:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "taskbeacon",
        }
        try:
            async with (
                self._slots,
                # Limits the whole request: the time limit of httpx restarts with each piece of a slow response.
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
                body = await read_answer_body(response.aiter_bytes())
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            raise GitHubUnavailable(f"The code host does not answer ({type(error).__name__}).") from error
        if body is None:
            raise GitHubUnavailable(UNREADABLE)
        return response, body


def _origin(url: httpx.URL) -> tuple[str, bytes, bytes]:
    return url.scheme, url.netloc, url.userinfo


def _repository(repository: str) -> str:
    return f"/repos/{quote(repository)}"


def _pulls(repository: str) -> str:
    return f"{_repository(repository)}/pulls"
