"""Routes of the caller's devices (contract 6.5), and of the key for subscriptions to web push."""

from fastapi import APIRouter

from app.schemas.devices.push_tokens import (
    DeviceList,
    DeviceOut,
    PushTokenIn,
    UnregisterIn,
    VapidPublicKeyOut,
)
from app.services.notifications import devices
from app.web.auth import DeviceWrite, UserRead
from app.web.body import Body
from app.web.dependencies import DeviceId
from app.web.openapi.errors import errors
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api", tags=["push"], route_class=UnitRoute)


@router.get("/users/@me/push_tokens", summary="List the caller's devices")
async def list_devices(call: DeviceWrite) -> DeviceList:
    """Return the devices that receive the caller's pushes, the most recently seen first."""
    return {"results": await devices.list_devices(call.session, call.caller)}


@router.post(
    "/users/@me/push_tokens",
    summary="Register a device",
    response_description="The device; its id is the `device_id` of presence.",
)
async def register_device(call: DeviceWrite, body: Body[PushTokenIn]) -> DeviceOut:
    """Register a device for pushes, or renew its registration.

    If the token belongs to another user's device, the device is moved to the caller. A user has at most 20 devices: a
    new device replaces the least recently seen one.
    """
    return await devices.register(call.session, call.caller, body)


@router.post(
    "/users/@me/push_tokens/unregister",
    summary="Unregister a device",
    response_description="The device gets no more pushes.",
)
async def unregister_device(call: DeviceWrite, body: Body[UnregisterIn]) -> None:
    """Delete a device by its token. The response is 204 even if the caller has no such device."""
    await devices.unregister(call.session, call.caller, body.token)


@router.delete(
    "/users/@me/push_tokens/{device_id}",
    summary="Delete a device",
    response_description="The device gets no more pushes.",
)
async def delete_device(call: DeviceWrite, device_id: DeviceId) -> None:
    """Delete a device by its id. The response is 204 even if the caller has no such device."""
    await devices.unregister(call.session, call.caller, device_id)


# The answer is the same for any user in the path.
@router.get("/users/{user_id}/push_tokens", include_in_schema=False)  # noqa: FAST003 - not read
@router.post("/users/{user_id}/push_tokens", include_in_schema=False)
@router.post("/users/{user_id}/push_tokens/unregister", include_in_schema=False)
async def refuse_other_users(_call: DeviceWrite) -> None:
    """Refuse requests about the devices of a user other than `@me` with 403, whether that user exists or not."""
    devices.refuse_other_users()


@router.get(
    "/push/vapid_public_key",
    summary="Retrieve the key for web push",
    responses=errors(404),
)
async def retrieve_vapid_public_key(call: UserRead) -> VapidPublicKeyOut:
    """Return the public key with which a browser subscribes to web push (VAPID).

    Register the browser's subscription, as JSON, as a device of the platform `web`. The response is 404 if
    web push is not configured.
    """
    return {"public_key": devices.vapid_public_key(call.process.settings)}
