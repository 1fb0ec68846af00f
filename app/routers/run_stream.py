"""The live stream of a run (contract 6.4)."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from app.schemas.run_stream import StreamQuery
from app.services import run_stream
from app.web.auth import TaskRead
from app.web.dependencies import ProcessDep, RunId, SessionDep, TaskId
from app.web.documentation import errors
from app.web.sse import MEDIA_TYPE, EventStream

__all__ = ["router"]

router = APIRouter(prefix="/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", tags=["runs"])

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The id of the last event that the client has; it gets what came after it. Browsers send it.",
    ),
]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, until the run is over.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/stream",
    operation_id="tasks_runs_stream_retrieve",
    summary="Follow a run live",
    response_class=Response,
    responses=_STREAM | errors(400, 403, 404, 429),
)
async def follow_run(
    caller: TaskRead,
    query: Annotated[StreamQuery, Query()],
    task_id: TaskId,
    run_id: RunId,
    session: SessionDep,
    process: ProcessDep,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Send what happened in the run and then what happens, as server-sent events.

    Each `data` is a JSON object: an entry as in `session_logs`, pieces of messages included, or a `task_run_state`
    whenever the run changes. The stream ends after the state that is the run's last, or after an hour: come back with
    the last `id` as `Last-Event-ID`, as browsers do by themselves. Two more events may come: `keepalive` after 20 quiet
    seconds, and `gap` where events are missing, with how many (`lost`, null: not known) and where the whole log is.
    """
    run = await run_stream.open_stream(session, caller, task_id, run_id, device_id=query.device_id)
    return EventStream(
        run_stream.follow(
            run,
            run_stream.start_of(last_event_id or query.last_event_id, query.start),
            hub=process.hub,
            redis=process.redis,
            watchers=process.watchers,
            pace=run_stream.Pace.of(process.settings),
        )
    )
