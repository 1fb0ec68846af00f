"""Route that lists the projects that the caller may use."""

from fastapi import APIRouter

from app.schemas.users import ProjectPage
from app.services.accounts import users
from app.web.auth import ProjectRead
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects", tags=["projects"], route_class=UnitRoute)


@router.get(
    "",
    operation_id="projects_list",
    summary="List projects",
    response_description="A page of projects.",
    response_model=ProjectPage,
)
async def list_projects(call: ProjectRead, page: PageDep) -> Json:
    """Return the projects that the caller is a member of and that the key may use."""
    count, projects = await users.list_projects(call.session, call.caller, page.asked)
    return Json(page.page(count, projects))
