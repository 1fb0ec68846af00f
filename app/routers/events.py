"""Routes that list the events of a project, and follow them live (contract 14)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.schemas.events import EventPage, EventQuery, EventStreamQuery
from app.services.events import event_reading
from app.services.streams.topic_streams import follow_topics, open_project_stream
from app.web.auth import TaskRead
from app.web.pagination import LimitDep
from app.web.sse import EventStream, LastEventId, streamed
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/events", tags=["events"], route_class=UnitRoute)


@router.get("", summary="List events")
async def list_events(call: TaskRead, query: Annotated[EventQuery, Query()], limit: LimitDep) -> EventPage:
    """Return the events of the tasks that the caller can see, oldest first, beginning after the position `after`.

    Events of deleted tasks are included. Continue with `next_after`: no event is skipped or repeated. An event is
    listed only when all changes that began earlier are complete, so it may appear a moment after its own change. Events
    are kept for 30 days unless the operator configures another time.
    """
    link = call.process.settings.task_url
    return await event_reading.list_events(call.session, call.caller, query, limit=limit, link=link)


@router.get(
    "/stream",
    summary="Follow the events of a project live",
    response_class=Response,
    responses=streamed("for 15 minutes"),
)
async def follow_events(
    call: TaskRead, query: Annotated[EventStreamQuery, Query()], last_event_id: LastEventId = None
) -> EventStream:
    """Stream the events of one or more topics live: the project's tasks, the caller's inbox, or single runs.

    The response has server-sent events (frames). A frame without a line `event:` has an event in the form in which the
    list of events shows it; a frame with `event: run:<id>` has an event of that run's stream. Without `Last-Event-ID`,
    the stream starts with events of tasks from now on, and with the first event of each run. With it, every topic
    continues after the frame with that id: the id contains the position in each topic. `gap` reports missing events and
    their topic; `keepalive` is sent after 20 seconds without an event. After 15 minutes `event: end` closes the stream:
    reconnect with the last id.
    """
    last_id = last_event_id or query.last_event_id
    topics = await open_project_stream(call.session, call.caller, query.topics, last_id)
    return EventStream(call, follow_topics(topics, call.process.stream_clients()))
