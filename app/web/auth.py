"""Authenticate and authorise requests: dependencies of routes that check in the contract's order (contract 2.3)."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clients.storage.storage_keys import RunRef
from app.db import release
from app.enums import Scope
from app.errors import AppError, NotAuthenticated
from app.ids import MAX_BIGINT
from app.services.access import visibility
from app.services.access.authentication import authenticate, authenticate_session
from app.services.access.principal import CURRENT_PROJECT, Principal, require_project
from app.services.access.scopes import require_scope
from app.services.runs import run_tokens
from app.web.asgi_keys import CALL
from app.web.body import read_json
from app.web.console.cookie import session_secret
from app.web.credentials import CREDENTIAL
from app.web.dependencies import Call, call_of, path_uuid, process_of, session_of, task_id_of
from app.web.throttling import throttle

_MAX_SECRET_LENGTH = 512
_MAX_TOKEN_LENGTH = 4096
_PROJECT_ID = re.compile(r"[0-9]{1,19}")
_NO_PROJECT = 0


class ScopeGate:
    """A dependency of routes that admits callers with an API key or a console session that has the scope `scope`."""

    # The ways to authenticate, by their names in the OpenAPI document.
    schemes: tuple[str, ...] = ("personalApiKey",)

    def __init__(self, scope: Scope, *, in_project: bool, is_throttled: bool = True) -> None:
        self.scope = scope
        self.in_project = in_project
        self.is_throttled = is_throttled

    async def __call__(self, request: Request) -> Call:
        caller = await self._authenticate(request)
        if self.in_project:
            require_project(caller)
        require_scope(caller, self.scope)
        return await _admit(request, caller, in_project=self.in_project, is_throttled=self.is_throttled)

    async def _authenticate(self, request: Request) -> Principal:
        return await _caller_of(request, _project_of(request) if self.in_project else None)


async def _admit(request: Request, caller: Principal, *, in_project: bool, is_throttled: bool) -> Call:
    if is_throttled:
        await throttle(request, caller, in_project=in_project)
    call = request.scope[CALL] = Call(caller, session_of(request), process_of(request))
    return call


def _project_of(request: Request) -> int | str:
    text = request.path_params["project_id"]
    if text == CURRENT_PROJECT:
        return CURRENT_PROJECT
    # A text that cannot be an id is answered with 404, as an unknown id is.
    number = int(text) if _PROJECT_ID.fullmatch(text) else _NO_PROJECT
    return number if number <= MAX_BIGINT else _NO_PROJECT


async def _caller_of(request: Request, project: int | str | None) -> Principal:
    session, cache = session_of(request), process_of(request).callers
    key = await _key(request)
    if key is not None:
        secret, place = key
        return await authenticate(session, secret, place=place, project=project, cache=cache)
    secret = _cookie(request)
    return await authenticate_session(session, secret, project=project, cache=cache)


def _cookie(request: Request) -> str:
    secret = None if request.headers.get("authorization") else session_secret(request)
    if secret is None:
        raise NotAuthenticated
    return secret


async def _key(request: Request) -> tuple[str, str] | None:
    if value := _bearer(request):
        return value[:_MAX_SECRET_LENGTH], "Authorization header"
    if value := await _key_in_body(request):
        return value[:_MAX_SECRET_LENGTH], "body"
    if value := request.query_params.get(CREDENTIAL, "").strip():
        return value[:_MAX_SECRET_LENGTH], "query string"
    return None


def _bearer(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    return value.strip()[:_MAX_TOKEN_LENGTH] if scheme.lower() == "bearer" else ""


async def _key_in_body(request: Request) -> str:
    try:
        body = await read_json(request)
    except AppError:
        # A body that cannot be read holds no key; its error is reported after the gates.
        return ""
    value = body.get(CREDENTIAL) if isinstance(body, dict) else None
    return value.strip() if isinstance(value, str) else ""


async def _visible_run(request: Request) -> UUID:
    call, task_id, run_id = call_of(request), task_id_of(request), path_uuid(request, "run_id")
    await visibility.require_run(call.session, call.caller, task_id, run_id)
    return run_id


def _required(
    name: str, require: Callable[[AsyncSession, Principal, UUID], Awaitable[None]]
) -> Callable[[Request], Awaitable[UUID]]:
    async def look_up(request: Request) -> UUID:
        call, id_ = call_of(request), path_uuid(request, name)
        await require(call.session, call.caller, id_)
        return id_

    return look_up


# For routes that look the object up after the gate and before they read the body (contract 2.3).
OwnEndpoint = Annotated[UUID, Depends(_required("endpoint_id", visibility.require_endpoint))]
VisibleCheckSet = Annotated[UUID, Depends(_required("set_id", visibility.require_check_set))]
VisibleEnvironment = Annotated[UUID, Depends(_required("environment_id", visibility.require_environment))]
VisibleRun = Annotated[UUID, Depends(_visible_run)]


class ConsoleGate:
    """A dependency of routes that admits requests with the cookie of a console session. It checks no scope."""

    schemes = ("consoleSession",)
    in_project = False
    is_throttled = True

    async def __call__(self, request: Request) -> Call:
        session, cache = session_of(request), process_of(request).callers
        caller = await authenticate_session(session, _cookie(request), cache=cache)
        return await _admit(request, caller, in_project=False, is_throttled=True)


ConsoleUser = Annotated[Call, Depends(ConsoleGate())]


class RunTokenGate:
    """A dependency of routes that admits requests with a run token, for the run that the path names (contract 6.4)."""

    schemes = ("runToken",)

    async def __call__(self, request: Request) -> RunRef:
        path, session, token = _run_path(request), session_of(request), _bearer(request)
        if not token:
            raise NotAuthenticated
        run = await run_tokens.authenticate_run(session, token, path, cipher=process_of(request).cipher)
        await release(session)
        return run


class StreamGate(ScopeGate):
    """A dependency of routes that also admits requests with a stream token, for the run that the path names."""

    schemes = (*ScopeGate.schemes, "streamToken")

    @override
    async def _authenticate(self, request: Request) -> Principal:
        token = _bearer(request)
        if not run_tokens.is_token(token):
            return await super()._authenticate(request)
        path, cipher = _run_path(request), process_of(request).cipher
        return await run_tokens.authenticate_follower(session_of(request), token, path, cipher=cipher)


def _run_path(request: Request) -> run_tokens.RunPath:
    return run_tokens.RunPath(_project_of(request), task_id_of(request), path_uuid(request, "run_id"))


StreamReader = Annotated[Call, Depends(StreamGate(Scope.TASK_READ, in_project=True))]
RunHolder = Annotated[RunRef, Depends(RunTokenGate())]
TaskRead = Annotated[Call, Depends(ScopeGate(Scope.TASK_READ, in_project=True))]
TaskWrite = Annotated[Call, Depends(ScopeGate(Scope.TASK_WRITE, in_project=True))]
WebhookRead = Annotated[Call, Depends(ScopeGate(Scope.WEBHOOK_READ, in_project=True))]
WebhookWrite = Annotated[Call, Depends(ScopeGate(Scope.WEBHOOK_WRITE, in_project=True))]
# For the caller's own devices, within a project.
ProjectUserWrite = Annotated[Call, Depends(ScopeGate(Scope.USER_WRITE, in_project=True))]
UserRead = Annotated[Call, Depends(ScopeGate(Scope.USER_READ, in_project=False))]
UserWrite = Annotated[Call, Depends(ScopeGate(Scope.USER_WRITE, in_project=False))]
# For tasks of all projects.
InboxRead = Annotated[Call, Depends(ScopeGate(Scope.TASK_READ, in_project=False))]
# A device that registers is never throttled (contract 2.7).
DeviceWrite = Annotated[Call, Depends(ScopeGate(Scope.USER_WRITE, in_project=False, is_throttled=False))]
ProjectRead = Annotated[Call, Depends(ScopeGate(Scope.PROJECT_READ, in_project=False))]
