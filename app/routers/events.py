"""What happened in a project: the ledger, page by page (contract 14)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.events import EventPage, EventQuery
from app.services.events import reading
from app.web.answers import Json
from app.web.auth import TaskRead
from app.web.dependencies import ProcessDep, SessionDep
from app.web.openapi.groups import errors
from app.web.pagination import LimitDep
from app.web.routes import PlannedRoute

__all__ = ["router"]

router = APIRouter(prefix="/api/projects/{project_id}/events", tags=["events"], route_class=PlannedRoute)


@router.get(
    "",
    operation_id="events_list",
    summary="List events",
    response_description="Events, oldest first, and where to go on.",
    response_model=EventPage,
    responses=errors(400, 403, 404, 429),
)
async def list_events(
    caller: TaskRead,
    query: Annotated[EventQuery, Query()],
    limit: LimitDep,
    session: SessionDep,
    process: ProcessDep,
) -> Json:
    """Return what happened to the tasks that the caller sees, deleted ones included, from `after` on.

    Ask again with `next_after`: nothing is skipped or repeated. An event may come a moment after its change, when all
    changes that began before it have ended. Events are kept for 30 days unless the operator says otherwise.
    """
    link = process.settings.task_url
    return Json(await reading.list_events(session, caller, query, limit=limit, link=link))
