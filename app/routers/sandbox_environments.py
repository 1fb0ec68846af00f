"""Routes of sandbox environments: network access and variables of agents (contract 5.8, 9.2)."""

from fastapi import APIRouter

from app.schemas.sandbox_environments import (
    SandboxEnvironmentIn,
    SandboxEnvironmentOut,
    SandboxEnvironmentPage,
    SandboxEnvironmentUpdateIn,
)
from app.services import sandbox_environments
from app.web.auth import TaskRead, TaskWrite, VisibleEnvironment
from app.web.body import Body
from app.web.dependencies import EnvironmentId
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(
    prefix="/api/projects/{project_id}/sandbox_environments",
    tags=["sandbox environments"],
    route_class=UnitRoute,
)


@router.get("", summary="List sandbox environments")
async def list_environments(call: TaskRead, page: PageDep) -> Json[SandboxEnvironmentPage]:
    """Return the sandbox environments that the caller may use, newest first: shared ones and the caller's own."""
    count, results = await sandbox_environments.list_environments(call.session, call.caller, page.asked)
    return Json(page.page(count, results))


@router.post(
    "",
    summary="Create a sandbox environment",
    status_code=201,
)
async def create_environment(call: TaskWrite, body: Body[SandboxEnvironmentIn]) -> SandboxEnvironmentOut:
    """Create a sandbox environment. A run selects it by `sandbox_environment_id`. It is private by default.

    Values of variables are stored encrypted and never returned; the agent of a run receives them, and may print them.
    """
    return await sandbox_environments.create_environment(
        call.session, call.caller, body, cipher=call.process.cipher
    )


@router.get("/{environment_id}", summary="Retrieve a sandbox environment")
async def retrieve_environment(call: TaskRead, environment_id: EnvironmentId) -> SandboxEnvironmentOut:
    """Return a sandbox environment. A private environment of another user is answered with 404."""
    return await sandbox_environments.retrieve_environment(call.session, call.caller, environment_id)


@router.patch("/{environment_id}", summary="Update a sandbox environment")
async def update_environment(
    call: TaskWrite, environment_id: VisibleEnvironment, body: Body[SandboxEnvironmentUpdateIn]
) -> SandboxEnvironmentOut:
    """Update a sandbox environment: only the given fields change, for runs that start from now on.

    Lists and variables are replaced as a whole.
    """
    return await sandbox_environments.update_environment(
        call.session, call.caller, environment_id, body, cipher=call.process.cipher
    )


@router.delete(
    "/{environment_id}",
    summary="Delete a sandbox environment",
    response_description="Deleted; the response has no body.",
)
async def delete_environment(call: TaskWrite, environment_id: EnvironmentId) -> None:
    """Delete a sandbox environment and its variables. Waiting runs that use it will fail."""
    await sandbox_environments.delete_environment(call.session, call.caller, environment_id)
