"""Routes that sign terminals in by a code, which a person confirms in the console (contract 21)."""

from fastapi import APIRouter, Request

from app.schemas.console import (
    ApproveLoginIn,
    PendingLoginOut,
    TerminalLoginIn,
    TerminalLoginOut,
    TerminalTokenOut,
)
from app.services.accounts import terminal_logins
from app.web.auth import UserWrite
from app.web.body import Body
from app.web.console.sign_in import DeviceCode, TerminalAddress, UserCode
from app.web.dependencies import PublicUrl, session_of
from app.web.openapi.errors import errors
from app.web.responses import SecretJson
from app.web.unit_route import UnitRoute

_LOGIN = "/login"
_CODE = _LOGIN + "/{user_code}"

router = APIRouter(prefix="/api/cli", tags=["console"], route_class=UnitRoute)


@router.post(
    _LOGIN,
    summary="Begin to sign a terminal in",
    status_code=201,
    responses=errors(429),
)
async def begin(
    request: Request, base: PublicUrl, address: TerminalAddress, body: Body[TerminalLoginIn]
) -> SecretJson[TerminalLoginOut]:
    """Return the codes of a new sign-in (RFC 8628). The terminal shows `user_code`, and asks for its key meanwhile."""
    begun = await terminal_logins.begin_login(session_of(request), body.client, address, base=base)
    return SecretJson(begun, 201)


@router.post(
    _LOGIN + "/token",
    summary="Fetch the key of a sign-in",
    responses=errors(429),
)
async def fetch(request: Request, device_code: DeviceCode) -> SecretJson[TerminalTokenOut]:
    """Return the key, once, after a person has confirmed the code.

    Until then the `code` of the error is `authorization_pending`; `slow_down` if the terminal asks too often,
    `access_denied` if it was refused, `expired_token` if the code is unknown, used or too old.
    """
    return SecretJson(await terminal_logins.fetch_key(session_of(request), device_code))


@router.get(
    _CODE,
    summary="Show what asks with a code",
    responses=errors(404),
)
async def show(call: UserWrite, user_code: UserCode) -> PendingLoginOut:
    """Return what asks for a key with the code. A code that is unknown, used or too old is answered with 404."""
    return await terminal_logins.show_login(call.session, call.caller, user_code)


@router.post(
    _CODE + "/approve",
    summary="Confirm the sign-in of a terminal",
    response_description="The terminal can fetch its key.",
    status_code=204,
    responses=errors(404),
)
async def approve(
    call: UserWrite,
    user_code: UserCode,
    body: Body[ApproveLoginIn],
) -> None:
    """Let the terminal have a key of the caller's user, with the scopes that the sign-in shows."""
    await terminal_logins.approve_login(call.session, call.caller, user_code, body.project_id)


@router.post(
    _CODE + "/deny",
    summary="Refuse the sign-in of a terminal",
    response_description="The terminal gets no key.",
    responses=errors(404),
)
async def deny(call: UserWrite, user_code: UserCode) -> None:
    """Refuse the sign-in; its code is used up."""
    await terminal_logins.deny_login(call.session, user_code)
