"""A code host for tests: git over HTTP and the part of GitHub's REST API that the service uses, both with tokens."""

import asyncio
import base64
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.clock import utcnow
from app.ids import new_hex_id


@dataclass(frozen=True, slots=True)
class Reply:
    """A fault that replaces the next response of the API; `after` lets the request take effect first."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    after: bool = False
    body: bytes | None = None  # in place of the message in JSON


@dataclass(slots=True)
class CodeHostService:
    """The contents of the host, the requests it saw, and how it is to behave."""

    folder: Path
    # Token to login.
    tokens: dict[str, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    check_runs: list[dict[str, Any]] = field(default_factory=list)
    # Of commits, as they were set.
    statuses: list[dict[str, Any]] = field(default_factory=list)
    # Method, path and who asked, in order.
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    # For the next requests to the API, in order; None: a good one.
    replies: deque[Reply | None] = field(default_factory=deque)
    has_drafts: bool = True
    # App id to its public key (PEM).
    apps: dict[str, str] = field(default_factory=dict)
    token_lifetime: timedelta = timedelta(hours=1)
    # Awaited while git, or a client of the API, waits for each answer.
    while_clients_wait: Callable[[], Awaitable[None]] | None = None

    def login_of(self, headers: Mapping[str, str]) -> str | None:
        """Return the user of a request with Basic authentication, which git uses."""
        return self.tokens.get(_password(headers))

    async def hold_answer(self) -> None:
        if self.while_clients_wait is not None:
            await self.while_clients_wait()

    def asked(self, method: str, part: str) -> int:
        return len([1 for verb, path, _ in self.requests if verb == method and part in path])


def github_application(host: CodeHostService) -> Starlette:
    """Return the code host as an application; its API is below `/api/v3`, as on GitHub Enterprise Server."""
    repository = "/api/v3/repos/{owner}/{name}"
    pulls = f"{repository}/pulls"
    return Starlette(
        routes=[
            Route(
                "/api/v3/app/installations/{installation}/access_tokens", _Api(host, _token), methods=["POST"]
            ),
            Route(pulls, _Api(host, _pulls), methods=["GET", "POST"]),
            Route(pulls + "/{number:int}", _Api(host, _pull), methods=["PATCH"]),
            Route(repository + "/commits/{sha}/check-runs", _Api(host, _find_check_runs), methods=["GET"]),
            Route(repository + "/check-runs", _Api(host, _check_run), methods=["POST"]),
            Route(repository + "/check-runs/{number:int}", _Api(host, _check_run), methods=["PATCH"]),
            Route(repository + "/statuses/{sha}", _Api(host, _status), methods=["POST"]),
            Route("/{path:path}", _Git(host), methods=["GET", "POST"]),
        ]
    )


class _Api:
    """An endpoint of GitHub's API, behind the faults that a test has ordered."""

    def __init__(self, host: CodeHostService, respond: Any) -> None:
        self._host = host
        self._respond = respond

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request, host = Request(scope, receive), self._host
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        login = host.tokens.get(bearer)
        host.requests.append((request.method, request.url.path, login))
        fault = host.replies.popleft() if host.replies else None
        response: Response
        if fault is None or fault.after:
            response = await self._respond(host, request, bearer, login)
        if fault is not None:
            content = orjson.dumps({"message": fault.message}) if fault.body is None else fault.body
            response = Response(content, fault.status, fault.headers, media_type="application/json")
        await host.hold_answer()
        await response(scope, receive, send)


async def _token(host: CodeHostService, _request: Request, bearer: str, _login: str | None) -> Response:
    claims = jwt.decode(bearer, options={"verify_signature": False})
    try:
        jwt.decode(bearer, host.apps[claims["iss"]], algorithms=["RS256"])
    except (KeyError, jwt.InvalidTokenError):
        return JSONResponse({"message": "A JSON web token could not be decoded"}, 401)
    token = f"ghs_{new_hex_id()}"
    host.tokens[token] = f"app-{claims['iss']}[bot]"
    expires_at = (utcnow() + host.token_lifetime).isoformat().replace("+00:00", "Z")
    return JSONResponse({"token": token, "expires_at": expires_at}, 201)


async def _pulls(host: CodeHostService, request: Request, _bearer: str, login: str | None) -> Response:
    if login is None:
        return JSONResponse({"message": "Bad credentials"}, 401)
    repository = f"{request.path_params['owner']}/{request.path_params['name']}"
    if request.method == "GET":
        owner, _, branch = request.query_params["head"].partition(":")
        found = [
            pull
            for pull in host.pulls
            if (pull["repository"], pull["head"], pull["state"]) == (repository, branch, "open")
            and repository.startswith(f"{owner}/")
        ]
        return JSONResponse(found)
    wanted = await request.json()
    if wanted["draft"] and not host.has_drafts:
        message = "Draft pull requests are not supported in this repository."
        return JSONResponse({"message": "Validation Failed", "errors": [{"message": message}]}, 422)
    number = len(host.pulls) + 1
    pull = {
        **wanted,
        "repository": repository,
        "number": number,
        "html_url": f"http://host.test/{repository}/pull/{number}",
        "state": "open",
        "author": login,
    }
    host.pulls.append(pull)
    return JSONResponse(pull, 201)


async def _pull(host: CodeHostService, request: Request, _bearer: str, login: str | None) -> Response:
    if login is None:
        return JSONResponse({"message": "Bad credentials"}, 401)
    pull = host.pulls[request.path_params["number"] - 1]
    pull |= await request.json()
    return JSONResponse(pull)


async def _find_check_runs(
    host: CodeHostService, request: Request, _bearer: str, login: str | None
) -> Response:
    if login is None:
        return JSONResponse({"message": "Bad credentials"}, 401)
    wanted = (request.path_params["sha"], request.query_params["check_name"])
    found = [run for run in host.check_runs if (run["head_sha"], run["name"]) == wanted]
    return JSONResponse({"total_count": len(found), "check_runs": found})


async def _check_run(host: CodeHostService, request: Request, _bearer: str, login: str | None) -> Response:
    if login is None or not login.endswith("[bot]"):
        return JSONResponse({"message": "You must authenticate via a GitHub App."}, 403)
    wanted = await request.json()
    if request.method == "PATCH":
        run = host.check_runs[request.path_params["number"] - 1]
        run |= wanted
        return JSONResponse(run)
    run = {**wanted, "id": len(host.check_runs) + 1}
    host.check_runs.append(run)
    return JSONResponse(run, 201)


async def _status(host: CodeHostService, request: Request, _bearer: str, login: str | None) -> Response:
    if login is None:
        return JSONResponse({"message": "Bad credentials"}, 401)
    host.statuses.append({**await request.json(), "sha": request.path_params["sha"]})
    return JSONResponse(host.statuses[-1], 201)


class _Git:
    """Git's own HTTP backend behind Basic authentication."""

    def __init__(self, host: CodeHostService) -> None:
        self._host = host

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        login = self._host.login_of(request.headers)
        self._host.requests.append((request.method, request.url.path, login))
        if login is None:
            response = Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
        else:
            response = await self._backend(request, login)
        await self._host.hold_answer()
        await response(scope, receive, send)

    async def _backend(self, request: Request, login: str) -> Response:
        process = await asyncio.create_subprocess_exec(
            *("git", "http-backend"),
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self._host.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
                "GIT_CONFIG_VALUE_0": "true",
                "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
                "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
                "PATH_INFO": request.url.path,
                "QUERY_STRING": request.url.query,
                "REQUEST_METHOD": request.method,
                "CONTENT_TYPE": request.headers.get("content-type", ""),
                "REMOTE_USER": login,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate(await request.body())
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return Response(body, status, headers)


def _password(headers: Mapping[str, str]) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return ""
    return base64.b64decode(value).decode().partition(":")[2]
