"""Routes of projects: the list, and the agents, limits and queue of one (contract 19, 20)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.projects import LimitsOut, ProjectPage, QueueOut
from app.schemas.runs.agents import AgentsOut, AgentsQuery
from app.services.accounts import project_overview, users
from app.web.auth import ProjectRead, TaskRead
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects", tags=["projects"], route_class=UnitRoute)
offers_router = APIRouter(prefix="/api/projects/{project_id}", tags=["projects"], route_class=UnitRoute)


@router.get("", summary="List projects")
async def list_projects(call: ProjectRead, page: PageDep) -> Json[ProjectPage]:
    """Return the projects that the caller is a member of and that the key may use."""
    count, projects = await users.list_projects(call.session, call.caller, page.asked)
    return Json(page.page(count, projects))


@offers_router.get("/agents", summary="List agents")
async def list_agents(call: TaskRead, query: Annotated[AgentsQuery, Query()]) -> AgentsOut:
    """Return the agents that runs may request, whether a worker can start them, and why one cannot be chosen.

    Workers report every 20 seconds what they have. A report ends with its worker, or after a minute.
    """
    redis, catalog = call.process.redis, call.process.catalog
    return await project_overview.list_agents(
        call.session, call.caller, query.sandbox_environment_id, redis=redis, catalog=catalog
    )


@offers_router.get("/limits", summary="List limits")
async def show_limits(call: TaskRead) -> LimitsOut:
    """Return the limits of this service that hold in the project. More may be added; show unknown ones as they are."""
    return project_overview.list_limits(call.process.settings)


@offers_router.get("/queue", summary="Show the queue")
async def retrieve_queue(call: TaskRead) -> QueueOut:
    """Return how many runs of the project wait for a worker and for how long, how many are performed, and the slots.

    All runs of the project count, also those of tasks that the caller does not see.
    """
    redis, settings = call.process.redis, call.process.settings
    return await project_overview.show_queue(call.session, call.caller, redis=redis, settings=settings)
