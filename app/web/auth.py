"""From a request's credential to its `Principal`, through the gates in the contract's order (2.3).

An endpoint states its scope by the alias in its signature: `caller: TaskWrite`.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import release
from app.enums import Scope
from app.errors import AppError, AuthenticationError, NotAuthenticated
from app.ids import MAX_BIGINT
from app.runtime import ProcessContext
from app.services.access import visibility as access
from app.services.access.authenticate import authenticate
from app.services.access.principal import CURRENT_PROJECT, Principal, require_project, require_scope
from app.services.runs import tokens as connection_tokens
from app.services.storage_keys import RunRef
from app.services.webhook_endpoints import endpoints as webhook_endpoints
from app.web.body import read_json
from app.web.dependencies import EndpointId, EnvironmentId, ProcessDep, RunId, SessionDep, TaskId
from app.web.throttling import throttle

__all__ = [
    "DeviceWrite",
    "OwnEndpoint",
    "ProjectRead",
    "ProjectUserWrite",
    "RunHolder",
    "RunTokenGate",
    "ScopeGate",
    "TaskRead",
    "TaskWrite",
    "UserRead",
    "UserWrite",
    "VisibleEnvironment",
    "VisibleRun",
    "WebhookRead",
    "WebhookWrite",
]

# Upstream's first authenticator on the tasks routes has no challenge, so a missing or wrong key is 403 there and
# 401 everywhere else (contract 2.2, 11 #1). One constant, so that it can be flipped.
UNAUTHENTICATED_STATUS_IN_PROJECT = 403

_MAX_SECRET_LENGTH = 512
_MAX_TOKEN_LENGTH = 4096
_PROJECT_ID = re.compile(r"[0-9]{1,19}")
_NO_PROJECT = 0


class ScopeGate:
    """The gates of a route that needs `scope`; `in_project` ones also need the project of their path."""

    def __init__(self, scope: Scope, *, in_project: bool, is_throttled: bool = True) -> None:
        self.scope = scope
        self.in_project = in_project
        self.is_throttled = is_throttled

    async def __call__(self, request: Request, session: SessionDep, process: ProcessDep) -> Principal:
        """Authenticate, check project, scope and budget; return the caller."""
        principal = await self._authenticate(request, session, process)
        if self.in_project:
            require_project(principal)
        require_scope(principal, self.scope)
        if self.is_throttled:
            await throttle(request, process, principal, in_project=self.in_project)
        request.state.principal = principal
        return principal

    async def _authenticate(
        self, request: Request, session: AsyncSession, process: ProcessContext
    ) -> Principal:
        project = _project_of(request) if self.in_project else None
        try:
            secret, place = await _credential(request)
            return await authenticate(session, secret, place=place, project=project, cache=process.callers)
        except AuthenticationError as error:
            if self.in_project:
                error.status = UNAUTHENTICATED_STATUS_IN_PROJECT
            raise


def _project_of(request: Request) -> int | str:
    text = request.path_params["project_id"]
    if text == CURRENT_PROJECT:
        return CURRENT_PROJECT
    # What is no id of a project names none: the same 404 as an unknown one.
    number = int(text) if _PROJECT_ID.fullmatch(text) else _NO_PROJECT
    return number if number <= MAX_BIGINT else _NO_PROJECT


async def _credential(request: Request) -> tuple[str, str]:
    """Return the key and where it was found: header, then body, then query (contract 2.2)."""
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()[:_MAX_SECRET_LENGTH], "Authorization header"
    value = await _key_in_body(request)
    if value:
        return value[:_MAX_SECRET_LENGTH], "body"
    value = request.query_params.get("personal_api_key", "").strip()
    if value:
        return value[:_MAX_SECRET_LENGTH], "query string"
    raise NotAuthenticated


async def _key_in_body(request: Request) -> str:
    try:
        body = await read_json(request)
    except AppError:
        # A body that cannot be read holds no key; what is wrong with it is said behind the gates.
        return ""
    value = body.get("personal_api_key") if isinstance(body, dict) else None
    return value.strip() if isinstance(value, str) else ""


async def _visible_run(request: Request, task_id: TaskId, run_id: RunId, session: SessionDep) -> UUID:
    """Let a request through whose caller, an earlier parameter of the endpoint, sees the run of the path."""
    principal: Principal = request.state.principal
    await access.require_run(session, principal, task_id, run_id)
    return run_id


async def _visible_environment(request: Request, environment_id: EnvironmentId, session: SessionDep) -> UUID:
    """Let a request through whose caller, an earlier parameter, sees the sandbox environment of the path."""
    principal: Principal = request.state.principal
    await access.require_environment(session, principal, environment_id)
    return environment_id


async def _own_endpoint(request: Request, endpoint_id: EndpointId, session: SessionDep) -> UUID:
    """Let a request through whose caller, an earlier parameter, has the webhook endpoint of the path."""
    principal: Principal = request.state.principal
    await webhook_endpoints.retrieve_endpoint(session, principal, endpoint_id)
    return endpoint_id


OwnEndpoint = Annotated[UUID, Depends(_own_endpoint)]
# For routes whose look-up comes before their body (contract 2.3).
VisibleEnvironment = Annotated[UUID, Depends(_visible_environment)]
VisibleRun = Annotated[UUID, Depends(_visible_run)]


class RunTokenGate:
    """The gate of a route for whoever holds the token of its run; personal API keys do not open it (contract 6.4)."""

    async def __call__(
        self, request: Request, task_id: TaskId, run_id: RunId, session: SessionDep, process: ProcessDep
    ) -> RunRef:
        """Return the run; no connection is held from here on, however long the request is."""
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        try:
            if scheme.lower() != "bearer" or not token.strip():
                raise NotAuthenticated
            run = await connection_tokens.authenticate_run(
                session,
                token.strip()[:_MAX_TOKEN_LENGTH],
                project=_project_of(request),
                task_id=task_id,
                run_id=run_id,
                secrets=process.settings.secret_keys,
            )
        except AuthenticationError as error:
            error.status = UNAUTHENTICATED_STATUS_IN_PROJECT
            raise
        await release(session)
        return run


RunHolder = Annotated[RunRef, Depends(RunTokenGate())]


def _gate(
    scope: Scope, *, in_project: bool, is_throttled: bool = True
) -> Callable[..., Awaitable[Principal]]:
    return ScopeGate(scope, in_project=in_project, is_throttled=is_throttled)


TaskRead = Annotated[Principal, Depends(_gate(Scope.TASK_READ, in_project=True))]
TaskWrite = Annotated[Principal, Depends(_gate(Scope.TASK_WRITE, in_project=True))]
WebhookRead = Annotated[Principal, Depends(_gate(Scope.WEBHOOK_READ, in_project=True))]
WebhookWrite = Annotated[Principal, Depends(_gate(Scope.WEBHOOK_WRITE, in_project=True))]
# For what concerns the caller's own devices, within a project.
ProjectUserWrite = Annotated[Principal, Depends(_gate(Scope.USER_WRITE, in_project=True))]
UserRead = Annotated[Principal, Depends(_gate(Scope.USER_READ, in_project=False))]
UserWrite = Annotated[Principal, Depends(_gate(Scope.USER_WRITE, in_project=False))]
# A device that registers is never told to wait (contract 2.7).
DeviceWrite = Annotated[Principal, Depends(_gate(Scope.USER_WRITE, in_project=False, is_throttled=False))]
ProjectRead = Annotated[Principal, Depends(_gate(Scope.PROJECT_READ, in_project=False))]
