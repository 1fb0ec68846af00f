"""Dependency of sign-in requests, which have no credential yet: checks their origin and rate."""

from typing import Annotated

from fastapi import Depends, Request

from app.services.accounts.console_sessions import Browser
from app.web.console.cookie import refuse_other_sites
from app.web.dependencies import process_of
from app.web.throttling import address_of, throttle_address

_USER_AGENT_CHARACTERS = 200
_ADDRESS_CHARACTERS = 64


async def _identify_browser(request: Request) -> Browser:
    refuse_other_sites(request)
    await throttle_address(request, process_of(request), "console")
    user_agent = request.headers.get("user-agent", "")[:_USER_AGENT_CHARACTERS]
    return Browser(address_of(request)[:_ADDRESS_CHARACTERS], user_agent)


SigningIn = Annotated[Browser, Depends(_identify_browser)]
