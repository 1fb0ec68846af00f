"""What happened in a project: the ledger, page by page (contract 14)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.schemas.events import EventPage, EventQuery, EventStreamQuery
from app.services.events import reading
from app.services.run_log.project_stream import follow_project, open_project_stream
from app.web.answers import Json
from app.web.auth import TaskRead
from app.web.openapi.errors import errors
from app.web.pagination import LimitDep
from app.web.sse import STREAM, EventStream, LastEventId
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/events", tags=["events"], route_class=UnitRoute)


@router.get(
    "",
    operation_id="events_list",
    summary="List events",
    response_description="Events, oldest first, and where to go on.",
    response_model=EventPage,
    responses=errors(400, 403, 404, 429),
)
async def list_events(
    call: TaskRead,
    query: Annotated[EventQuery, Query()],
    limit: LimitDep,
) -> Json:
    """Return what happened to the tasks that the caller sees, deleted ones included, from `after` on.

    Ask again with `next_after`: nothing is skipped or repeated. An event may come a moment after its change, when all
    changes that began before it have ended. Events are kept for 30 days unless the operator says otherwise.
    """
    link = call.process.settings.task_url
    return Json(await reading.list_events(call.session, call.caller, query, limit=limit, link=link))


@router.get(
    "/stream",
    operation_id="events_stream_retrieve",
    summary="Follow a project live",
    response_class=Response,
    responses=STREAM | errors(400, 403, 404, 429),
)
async def follow_events(
    call: TaskRead,
    query: Annotated[EventStreamQuery, Query()],
    last_event_id: LastEventId = None,
) -> EventStream:
    """Send events as they come, and what happens in the named runs, as server-sent events.

    A frame without `event` is an event as in the list; one with `event: run:<id>` is what the stream of that run sends.
    The ledger begins now, a run at its beginning, unless `Last-Event-ID` says where the client left off: one id holds
    the places in all of them. `gap` says that something is missing, and of which topic; `keepalive` comes after 20 quiet
    seconds. After 15 minutes `event: end` closes the stream: come back with the last id.
    """
    last_id = last_event_id or query.last_event_id
    project = await open_project_stream(call.session, call.caller, query.topics, last_id)
    return EventStream(follow_project(project, call.process.stream_clients()))
