"""Routes of the log of a run (contract 6.4)."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from app.clients.storage.storage_keys import RunRef
from app.json_types import JsonDict
from app.schemas.errors import StateRefusedOut
from app.schemas.runs.logs import AppendIn, LogQuery
from app.schemas.runs.run import RelayIn, RelayOut, RunOut
from app.services.run_log import incoming_entries
from app.services.run_log.log_reading import read_page, read_text
from app.services.run_log.log_writing import CONTENT_TYPE
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import RUN_URL, RunId, StartedAt, TaskId
from app.web.openapi.errors import refused
from app.web.pagination import LOG_PAGE, log_headers
from app.web.responses import TEXT, Json, Streamed, server_timing, streamed_log
from app.web.unit_route import UnitRoute

WHOLE_LOG: dict[int | str, JsonDict] = {
    200: {
        "description": "The log, one JSON object per line.",
        # Text first: Swagger UI and generated clients use the first type, and Swagger UI cannot show JSON lines.
        "content": {TEXT: {"schema": {"type": "string"}}, CONTENT_TYPE: {"schema": {"type": "string"}}},
    }
}
router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)


@router.post("/append_log", summary="Append to the log of a run")
async def append_log(
    call: TaskWrite, body: Body[AppendIn], task_id: TaskId, run_id: RunId, started: StartedAt
) -> Json[RunOut]:
    """Append entries to the log of the run: all of them or none, even if other clients write at the same time."""
    run = await incoming_entries.append_log(
        call.session, call.caller, task_id, run_id, body.entries, call.process
    )
    return Json(run, headers=server_timing("append", started))


@router.post(
    "/relay_message",
    summary="Relay a message of the agent",
    responses=refused(StateRefusedOut),
)
async def relay_message(call: TaskWrite, body: Body[RelayIn], task_id: TaskId, run_id: RunId) -> RelayOut:
    """Write a message of the agent to the log of the run, to be relayed to a chat.

    The message is stored in the log, but it is not relayed, because no chat is connected to this service: the status is
    always `skipped`.
    """
    return await incoming_entries.relay_message(
        call.session, call.caller, task_id, run_id, body, call.process
    )


@router.get(
    "/logs",
    summary="Read the whole log",
    response_class=Streamed,
    responses=WHOLE_LOG,
)
async def read_logs(
    call: TaskRead,
    task_id: TaskId,
    run_id: RunId,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Streamed:
    """Return the whole log of the run as JSON lines, after the logs of the runs that it resumes.

    If `Accept` is exactly `text/plain`, the same lines are returned with this content type.
    """
    text = await read_text(call.session, call.caller, task_id, run_id, store=call.process.store)
    return streamed_log(text, accept)


@router.get(
    "/session_logs",
    summary="Read the log page by page",
    response_model=list[JsonDict],
    responses=LOG_PAGE,
)
async def read_session_logs(
    call: TaskRead, query: Annotated[LogQuery, Query()], task_id: TaskId, run_id: RunId, started: StartedAt
) -> Response:
    """Return the log entries that match the filters, oldest first, from the run and from the runs that it resumes.

    A page of large entries can have fewer than `limit`; only `X-Has-More` shows whether it is the last page.
    """
    process = call.process
    ref = RunRef(call.caller.project.id, task_id, run_id)
    page = await read_page(
        call.session, call.caller, ref, query, store=process.store, pages=process.log_pages
    )
    headers = log_headers(page, query.offset) | server_timing("read", started)
    return Response(page.body, media_type=Json.media_type, headers=headers)
