"""Routes that sign a browser in to the console and out, and list and end sessions (contract 17)."""

from fastapi import APIRouter, Request, Response

from app.schemas.console import ConsoleSessionList, ConsoleSessionOut, SignIn
from app.services.accounts import console_sessions
from app.web.auth import ConsoleUser, UserRead, UserWrite
from app.web.body import Body
from app.web.console.cookie import new_cookie, no_cookie
from app.web.console.sign_in import SigningIn
from app.web.dependencies import SessionId, session_of
from app.web.openapi.errors import errors
from app.web.responses import SecretJson
from app.web.unit_route import UnitRoute

_SESSION = "/session"
router = APIRouter(prefix="/api/console", tags=["console"], route_class=UnitRoute)


@router.post(
    _SESSION,
    summary="Sign in to the console",
    response_description="The session; the response sets its cookie.",
    status_code=201,
    responses=errors(401, 403, 429),
)
async def sign_in(request: Request, browser: SigningIn, body: Body[SignIn]) -> SecretJson[ConsoleSessionOut]:
    """Open a console session with an API key, or with the code of a login link (`taskbeacon console`).

    The session's cookie is named `__Host-taskbeacon`, or `taskbeacon` over http on localhost. With the
    cookie, the browser may call every operation that accepts a key, with the rights of the key. A request is
    refused with 403 if a page of another site sent it, or if it uses http and the host is not localhost.
    """
    opened, secret = await console_sessions.open_session(session_of(request), body, browser)
    return SecretJson(opened, 201, {"Set-Cookie": new_cookie(request, secret)})


@router.get(_SESSION, summary="Retrieve the console session")
async def retrieve_session(call: ConsoleUser) -> ConsoleSessionOut:
    """Return the console session that the request's cookie belongs to, with its user, scopes and projects."""
    return await console_sessions.show_session(call.session, call.caller)


@router.delete(
    _SESSION,
    summary="Sign out of the console",
    response_description="The session has ended.",
    status_code=204,
    responses=errors(403),
)
async def sign_out(request: Request, call: ConsoleUser) -> Response:
    """End the console session that the request's cookie belongs to, and delete the cookie in the browser."""
    await console_sessions.end_current(call.session, call.caller)
    return Response(status_code=204, headers={"Set-Cookie": no_cookie(request)})


@router.get("/sessions", summary="List the caller's console sessions")
async def list_sessions(call: UserRead) -> ConsoleSessionList:
    """Return the console sessions that were opened with any of the caller's keys, the most recently used first."""
    return await console_sessions.list_sessions(call.session, call.caller)


@router.delete(
    "/sessions/{session_id}",
    summary="End a console session",
    response_description="The session has ended.",
)
async def end_session(call: UserWrite, session_id: SessionId) -> None:
    """End one of the caller's console sessions; its cookie is refused within a second."""
    await console_sessions.end_session(call.session, call.caller, session_id)
