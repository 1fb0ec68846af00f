"""The projects that the caller may use."""

from fastapi import APIRouter

from app.schemas.users import ProjectPage
from app.services.accounts import users
from app.web.answers import Json
from app.web.auth import ProjectRead
from app.web.dependencies import SessionDep
from app.web.openapi.groups import errors
from app.web.pagination import PageDep
from app.web.routes import PlannedRoute

__all__ = ["router"]

router = APIRouter(prefix="/api/projects", tags=["projects"], route_class=PlannedRoute)


@router.get(
    "",
    operation_id="projects_list",
    summary="List projects",
    response_description="A page of projects.",
    response_model=ProjectPage,
    responses=errors(401, 403, 429),
)
async def list_projects(caller: ProjectRead, page: PageDep, session: SessionDep) -> Json:
    """Return the projects that the caller is a member of and that this key may use."""
    count, projects = await users.list_projects(session, caller, limit=page.limit, offset=page.offset)
    return Json(page.page(count, projects))
