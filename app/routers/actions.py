"""Routes that answer a question with the action token of its notification, without a key (contract 15)."""

from fastapi import APIRouter, Request, Response

from app.schemas.errors import StateRefusedOut
from app.schemas.questions import ActionIn, AnsweredOut
from app.services.inbox import token_answers
from app.web.body import Body
from app.web.dependencies import process_of, session_of
from app.web.openapi.errors import errors, refused, settled
from app.web.pages.action_route import ActionRoute, PageRoute
from app.web.pages.actions import OpenAction, answer_by_form, client_of, show_page
from app.web.responses import Json

api_router = APIRouter(prefix="/api/actions", tags=["inbox"], route_class=ActionRoute)
page_router = APIRouter(prefix="/a", route_class=PageRoute)


@api_router.post(
    "/{token}",
    summary="Answer a question with an action token",
    responses=errors(403, 404, 429) | refused(StateRefusedOut) | settled(409, 410),
)
async def act(request: Request, token: OpenAction, body: Body[ActionIn]) -> Json[AnsweredOut]:
    """Answer a question with the action token of its notification; no API key is needed.

    A token that names an option needs no body. If the same token is sent again, its answer is returned with
    `repeated`; a different token of an answered question is refused with 409. A token that is forged, older
    than a day, or of a person who has lost access is answered with 404. If the risk of the question is high, or
    higher than the operator's setting `TASKBEACON_ACTION_TOKENS` allows, a token alone is refused with 403: the
    question's page then asks for an API key, or for a browser that is signed in to the console.
    """
    client, process = client_of(request), process_of(request)
    return Json(await token_answers.act(session_of(request), token, body, client, process))


@page_router.get("/{token}", include_in_schema=False)
async def show_question(request: Request, token: OpenAction) -> Response:
    """Return the HTML page of a question, with a form for the possible answers.

    This request changes nothing, because scanners of e-mails follow links.
    """
    return await show_page(request, token)


@page_router.post("/{token}", include_in_schema=False)
async def submit_answer(request: Request, token: OpenAction) -> Response:
    """Answer a question with the submitted form of its HTML page, and redirect the browser back to the page."""
    return await answer_by_form(request, token)
