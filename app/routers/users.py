"""Route that returns the user of the key."""

from fastapi import APIRouter

from app.schemas.users import UserOut
from app.services.accounts import users
from app.web.auth import UserRead
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/users", tags=["users"], route_class=UnitRoute)


@router.get(
    "/@me",
    operation_id="users_me_retrieve",
    summary="Retrieve the user of the key",
    response_description="The user.",
    response_model=UserOut,
)
async def retrieve_me(call: UserRead) -> Json:
    """Return the user that the key belongs to, with their current project (`@current`) and their organizations."""
    return Json(await users.retrieve_caller(call.session, call.caller))
