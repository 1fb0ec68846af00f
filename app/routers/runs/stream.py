"""Routes that follow a run live, and accept events of agents outside the workers (contract 6.4)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.schemas.errors import StateRefusedOut
from app.schemas.runs.stream import PositionOut, StreamQuery
from app.services.run_log import incoming_entries
from app.services.streams import run_streams
from app.web.auth import RunHolder, StreamReader
from app.web.dependencies import RUN_URL, RunId, TaskId, process_of
from app.web.event_upload import read_event_lines
from app.web.openapi.errors import errors, refused
from app.web.openapi.groups import EVENT_LINES
from app.web.responses import Json
from app.web.sse import EventStream, LastEventId, streamed
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)

Where = Annotated[StreamQuery, Query()]


@router.get(
    "/stream",
    summary="Follow a run live",
    response_class=Response,
    responses=streamed("until the run has ended"),
)
async def follow_run(
    call: StreamReader, query: Where, task_id: TaskId, run_id: RunId, last_event_id: LastEventId = None
) -> EventStream:
    """Stream the past events of the run and then its new events live, as server-sent events.

    Each `data` is a JSON object: a log entry as in `session_logs`, a part of a message that the agent is still writing,
    or a `task_run_state` whenever the run changes. After the final state of the run comes `stream-end`, and the stream
    ends. A stream also ends after 15 minutes, with the event `end`: reconnect with the last `id` as `Last-Event-ID`, as
    browsers do by themselves. Two other events are possible: `keepalive` after 20 seconds without an event, and `gap`
    for missing events, with their number (`lost`, null if unknown) and the URL of the log.

    Beside an API key, the token of the operation `stream_token` of this run is accepted.
    """
    place = query.model_copy(update={"last_event_id": last_event_id or query.last_event_id})
    clients = call.process.stream_clients()
    return EventStream(
        call, await run_streams.follow_run(call.session, call.caller, task_id, run_id, place, clients)
    )


@router.post(
    "/event_stream",
    summary="Send the events of an agent",
    responses=errors(413)
    | refused(StateRefusedOut)
    | {
        409: {
            "model": PositionOut,
            "description": "The events do not follow the last accepted event: continue after this number.",
        }
    },
    openapi_extra=EVENT_LINES,
)
async def take_events(run: RunHolder, request: Request) -> Json[PositionOut]:
    """Accept numbered events of an agent outside the service's workers; a repeated event is ignored.

    The body has one event per line, as JSON. Log entries (`type: notification`) are added to the log of the run, and
    all events are sent to its followers. Keep the request open and send events as they happen, or send them in batches.
    After a failure, send an empty body to get the number of the last accepted event, and continue after it. If a line
    is invalid, the error names it, and the lines before it are accepted. An event with an `event_id` that was accepted
    before, here or by `append_log`, is a repetition. The run fails if its agent is silent for too long.
    """
    return Json(await incoming_entries.take_events(run, read_event_lines(request), process_of(request)))
