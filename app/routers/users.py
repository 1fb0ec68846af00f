"""The caller."""

from fastapi import APIRouter

from app.schemas.users import UserOut
from app.services.accounts import users
from app.web.answers import Json
from app.web.auth import UserRead
from app.web.dependencies import SessionDep
from app.web.openapi.groups import errors
from app.web.routes import PlannedRoute

__all__ = ["router"]

router = APIRouter(prefix="/api/users", tags=["users"], route_class=PlannedRoute)


@router.get(
    "/@me",
    operation_id="users_me_retrieve",
    summary="Retrieve the caller",
    response_description="The caller.",
    response_model=UserOut,
    responses=errors(401, 403, 429),
)
async def retrieve_me(caller: UserRead, session: SessionDep) -> Json:
    """Return the user whose key this is, their current project (`@current`) and their organizations."""
    return Json(await users.retrieve_caller(session, caller))
