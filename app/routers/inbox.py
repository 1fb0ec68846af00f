"""Routes of the inbox: the questions of agents to the caller, across all their projects (contract 15)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.schemas.events import InboxStreamQuery
from app.schemas.questions import InboxPage, InboxQuery
from app.services.inbox import inbox_listing
from app.services.streams.topic_streams import follow_topics, open_inbox_stream
from app.web.auth import InboxRead
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.sse import EventStream, LastEventId, streamed
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/users/@me/inbox", tags=["inbox"], route_class=UnitRoute)


@router.get("", summary="List the questions in the caller's inbox")
async def list_inbox(
    call: InboxRead, query: Annotated[InboxQuery, Query()], page: PageDep
) -> Json[InboxPage]:
    """Return the questions of tasks that the caller created or follows, sorted by urgency and then by age.

    The most urgent question is first; of equally urgent ones, the oldest. `open_count` is the number for a badge: it
    counts all open questions except those of the kind `message`, regardless of the filters.
    """
    count, open_count, results = await inbox_listing.list_inbox(
        call.session, call.caller, query, page.asked, link=call.process.settings.task_url
    )
    return Json(page.page(count, results) | {"open_count": open_count})


@router.get(
    "/stream",
    summary="Follow the caller's inbox live",
    response_class=Response,
    responses=streamed("for 15 minutes"),
)
async def follow_inbox(
    call: InboxRead, query: Annotated[InboxStreamQuery, Query()], last_event_id: LastEventId = None
) -> EventStream:
    """Stream the events of the caller's questions live as server-sent events.

    These are `question.opened`, `question.answered`, `question.expired` and `question.withdrawn`. The stream starts
    with new events, or, with `Last-Event-ID`, after the position of this id. No event is sent twice or left out, unless
    events after this position no longer exist: `event: gap` then says so, and the client must read the inbox again.
    `keepalive` is sent after 20 seconds without an event. After 15 minutes `event: end` closes the stream: reconnect
    with the last id.
    """
    inbox = await open_inbox_stream(call.session, call.caller, last_event_id or query.last_event_id)
    return EventStream(call, follow_topics(inbox, call.process.stream_clients()))
