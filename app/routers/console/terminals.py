"""Routes that sign terminals in by a code, which a person confirms in the console (contract 21)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.schemas.console import (
    ApproveLoginIn,
    PendingLoginOut,
    TerminalLoginIn,
    TerminalLoginOut,
    TerminalTokenIn,
    TerminalTokenOut,
)
from app.security.secrets import hash_session_secret
from app.services.accounts import terminal_logins
from app.web.auth import UserWrite
from app.web.body import Body
from app.web.dependencies import PublicUrl, call_of, process_of, session_of
from app.web.openapi.errors import errors
from app.web.responses import Json
from app.web.throttling import CODES, POLLS, POLLS_OF_ADDRESS, address_of, throttle_address, throttle_by
from app.web.unit_route import UnitRoute

_ADDRESS_CHARACTERS = 64
_CODE_CHARACTERS = 100
_LOGIN = "/login"
_CODE = _LOGIN + "/{user_code}"
_NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(prefix="/api/cli", tags=["console"], route_class=UnitRoute)


async def _identify_address(request: Request) -> str:
    await throttle_address(request, process_of(request), "terminal")
    return address_of(request)[:_ADDRESS_CHARACTERS]


async def _user_code(request: Request) -> str:
    # Counted whether it is known or not: what a person tries must not tell it.
    await throttle_by(process_of(request), f"codes:{call_of(request).caller.user_id}", CODES)
    code: str = request.path_params["user_code"]
    return code[:_CODE_CHARACTERS]


async def _device_code(request: Request, body: Body[TerminalTokenIn]) -> str:
    process = process_of(request)
    await throttle_by(process, f"polls:{address_of(request)}", POLLS_OF_ADDRESS)
    bucket = f"polls:{hash_session_secret(body.device_code)}"
    await throttle_by(process, bucket, POLLS, refusal=terminal_logins.asks_too_often())
    return body.device_code


Address = Annotated[str, Depends(_identify_address)]
DeviceCode = Annotated[str, Depends(_device_code)]
UserCode = Annotated[str, Depends(_user_code)]


@router.post(
    _LOGIN,
    summary="Begin to sign a terminal in",
    status_code=201,
    responses=errors(429),
)
async def begin(
    request: Request, base: PublicUrl, address: Address, body: Body[TerminalLoginIn]
) -> Json[TerminalLoginOut]:
    """Return the codes of a new sign-in (RFC 8628). The terminal shows `user_code`, and asks for its key meanwhile."""
    begun = await terminal_logins.begin_login(session_of(request), body.client, address, base=base)
    return Json(begun, 201, _NO_STORE)


@router.post(
    _LOGIN + "/token",
    summary="Fetch the key of a sign-in",
    responses=errors(429),
)
async def fetch(request: Request, device_code: DeviceCode) -> Json[TerminalTokenOut]:
    """Return the key, once, after a person has confirmed the code.

    Until then the `code` of the error is `authorization_pending`; `slow_down` if the terminal asks too often,
    `access_denied` if it was refused, `expired_token` if the code is unknown, used or too old.
    """
    return Json(await terminal_logins.fetch_key(session_of(request), device_code), 200, _NO_STORE)


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
