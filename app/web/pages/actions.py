"""Check the action token in a request's path, and answer its question with the submitted form of its page."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.enums import FormAction, QuestionKind
from app.errors import AuthenticationError, MalformedBody, NotFound, PermissionDenied, UnsupportedMediaType
from app.json_types import JsonDict
from app.schemas.questions import ActionIn
from app.services.access.authentication import authenticate, authenticate_session
from app.services.inbox import token_answers
from app.services.inbox.token_answers import Action, TokenSender, require_holder
from app.web.body import first_error, read_bytes
from app.web.console.cookie import session_secret
from app.web.dependencies import process_of, session_of
from app.web.pages.action_route import back_to_page
from app.web.pages.question import content_of, form_of, page_of
from app.web.pages.render import render
from app.web.throttling import address_of, throttle_address

_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 2**20
_MOST_FIELDS = 1000
_USER_AGENT_CHARACTERS = 200
_PLAIN = ("option_id", "action", "text", "custom_input", "digest")


async def _open_action(request: Request) -> Action:
    await throttle_address(request, "action")
    token, settings = request.path_params["token"], process_of(request).settings
    return await token_answers.open_action(
        session_of(request), token, settings.secret_keys, settings.action_tokens
    )


OpenAction = Annotated[Action, Depends(_open_action)]


def client_of(request: Request, *, has_key: bool = False) -> TokenSender:
    """Return a description of the client that sent a request with an action token. It is stored with the answer."""
    user_agent = request.headers.get("user-agent", "")[:_USER_AGENT_CHARACTERS]
    return TokenSender(address_of(request), user_agent, has_key)


async def show_page(request: Request, action: Action) -> Response:
    """Return the page of a question; it asks for a key if the risk is high, unless the person is signed in."""
    asks_for_key = action.needs_key and not await _is_signed_in(request, action)
    return render(page_of(action.question, action.offered, asks_for_key=asks_for_key))


async def answer_by_form(request: Request, action: Action) -> Response:
    form = await _read_form(request)
    client = client_of(request, has_key=await _has_key(request, action, form))
    session, process = session_of(request), process_of(request)
    _ = await token_answers.act(session, action, _body(action, form), client, process)
    return back_to_page(request)


def _body(action: Action, form: Mapping[str, Sequence[str]]) -> ActionIn:
    body: JsonDict = {name: form[name][0] for name in _PLAIN if form.get(name, [""])[0]}
    is_form = action.question.kind is QuestionKind.FORM
    if is_form and body.get("action") == FormAction.ACCEPT:
        asked = form_of(action.question)
        body["content"] = {} if asked is None else content_of(asked, form)
    try:
        return ActionIn.model_validate(body)
    except ValidationError as error:
        raise first_error(error.errors(include_url=False)) from None


async def _has_key(request: Request, action: Action, form: Mapping[str, Sequence[str]]) -> bool:
    if not action.needs_key:
        return False
    key = form.get("key", [""])[0].strip()
    if not key:
        return await _is_signed_in(request, action)
    project = action.person.project.id
    try:
        holder = await authenticate(session_of(request), key, place="form", project=project)
    except AuthenticationError:
        raise PermissionDenied("This API key is not valid.") from None
    require_holder(action, holder)
    return True


async def _is_signed_in(request: Request, action: Action) -> bool:
    secret = session_secret(request)
    if secret is None:
        return False
    try:
        holder = await authenticate_session(session_of(request), secret, project=action.person.project.id)
        require_holder(action, holder)
    except (AuthenticationError, NotFound, PermissionDenied):
        # The cookie does not authorise this answer, so the page asks for a key.
        return False
    return True


async def _read_form(request: Request) -> Mapping[str, Sequence[str]]:
    media_type = request.headers.get("content-type", "")
    if media_type.partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(media_type)
    raw = await read_bytes(request, limit=_FORM_BYTES)
    try:
        return parse_qs(raw.decode(), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise MalformedBody("The form cannot be read.") from None
