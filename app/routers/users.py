"""Routes of the user of the key, and of their keys (contract 19.7)."""

from fastapi import APIRouter

from app.schemas.users import NewOwnKeyOut, OwnKeyIn, OwnKeysOut, UserOut
from app.services.accounts import api_keys, users
from app.web.auth import UserRead, UserWrite
from app.web.body import Body
from app.web.dependencies import KeyId
from app.web.responses import SecretJson
from app.web.unit_route import UnitRoute

_KEYS = "/@me/api_keys"

router = APIRouter(prefix="/api/users", tags=["users"], route_class=UnitRoute)


@router.get("/@me", summary="Retrieve the user of the key")
async def retrieve_me(call: UserRead) -> UserOut:
    """Return the user that the key belongs to, with their current project (`@current`) and their organizations."""
    return await users.retrieve_caller(call.session, call.caller)


@router.get(_KEYS, summary="List one's API keys")
async def list_keys(call: UserRead) -> OwnKeysOut:
    """Return the caller's keys that are not revoked, at most 500, the newest first. Values are never shown again."""
    return {"results": await api_keys.list_own_keys(call.session, call.caller)}


@router.post(
    _KEYS,
    summary="Create an API key",
    status_code=201,
)
async def create_key(call: UserWrite, body: Body[OwnKeyIn]) -> SecretJson[NewOwnKeyOut]:
    """Create a key with scopes that the key of this request has, for the projects that it is valid for.

    The new key does not outlive the one of this request. Its value is shown once.
    """
    made = await api_keys.create_own_key(call.session, call.caller, body)
    return SecretJson(made, 201)


@router.delete(
    _KEYS + "/{key_id}",
    summary="Revoke an API key",
    response_description="The key is revoked.",
)
async def revoke_key(call: UserWrite, key_id: KeyId) -> None:
    """Revoke one of the caller's keys. It is refused within a second, and its console sessions end."""
    await api_keys.revoke_own_key(call.session, call.caller, key_id)
