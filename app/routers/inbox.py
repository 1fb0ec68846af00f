"""The inbox: what agents ask the caller, over all of their projects (contract 15)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.questions import InboxPage, InboxQuery
from app.services.inbox import listing
from app.services.views.pages import Page
from app.web.answers import Json
from app.web.auth import InboxRead
from app.web.openapi.errors import errors
from app.web.pagination import PageDep
from app.web.routes import UnitRoute

router = APIRouter(prefix="/api/users/@me/inbox", tags=["inbox"], route_class=UnitRoute)


@router.get(
    "",
    operation_id="users_inbox_list",
    summary="List what agents ask the caller",
    response_description="A page of questions.",
    response_model=InboxPage,
    responses=errors(400, 401, 403, 429),
)
async def list_inbox(call: InboxRead, query: Annotated[InboxQuery, Query()], page: PageDep) -> Json:
    """Return the questions of the tasks that the caller created or follows, the most urgent first, then the oldest.

    `open_count` is what a badge shows: all open questions but messages, whatever the filter.
    """
    count, open_count, results = await listing.list_inbox(
        call.session,
        call.caller,
        query,
        Page(page.limit, page.offset),
        link=call.process.settings.task_url,
    )
    return Json(page.page(count, results) | {"open_count": open_count})
