"""Identify a browser or terminal that signs in, within the limits of attempts, and read its codes (contract 17, 21)."""

from typing import Annotated

from fastapi import Depends, Request

from app.schemas.console import TerminalTokenIn
from app.security.secrets import hash_session_secret
from app.services.accounts import terminal_logins
from app.services.accounts.console_sessions import Browser
from app.web.body import Body
from app.web.console.cookie import refuse_other_sites
from app.web.dependencies import call_of
from app.web.throttling import CODES, POLLS, POLLS_OF_ADDRESS, address_of, throttle_address, throttle_by

_USER_AGENT_CHARACTERS = 200
_ADDRESS_CHARACTERS = 64
_CODE_CHARACTERS = 100


async def _browser(request: Request) -> Browser:
    refuse_other_sites(request)
    await throttle_address(request, "console")
    user_agent = request.headers.get("user-agent", "")[:_USER_AGENT_CHARACTERS]
    return Browser(address_of(request)[:_ADDRESS_CHARACTERS], user_agent)


async def _terminal_address(request: Request) -> str:
    await throttle_address(request, "terminal")
    return address_of(request)[:_ADDRESS_CHARACTERS]


async def _user_code(request: Request) -> str:
    # Unknown codes count too, so that the limit does not show which codes exist.
    await throttle_by(request, f"codes:{call_of(request).caller.user_id}", CODES)
    code: str = request.path_params["user_code"]
    return code[:_CODE_CHARACTERS]


async def _device_code(request: Request, body: Body[TerminalTokenIn]) -> str:
    await throttle_by(request, f"polls:{address_of(request)}", POLLS_OF_ADDRESS)
    bucket = f"polls:{hash_session_secret(body.device_code)}"
    await throttle_by(request, bucket, POLLS, refusal=terminal_logins.asks_too_often())
    return body.device_code


SigningIn = Annotated[Browser, Depends(_browser)]
TerminalAddress = Annotated[str, Depends(_terminal_address)]
UserCode = Annotated[str, Depends(_user_code)]
DeviceCode = Annotated[str, Depends(_device_code)]
