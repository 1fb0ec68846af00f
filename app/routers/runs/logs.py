"""Routes of the log of a run (contract 6.4)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from app.routers.runs.log_responses import LOG_PAGE, TEXT, WHOLE_LOG, TimerDep, headers_of_page
from app.schemas.errors import StateRefusedOut
from app.schemas.runs.logs import AppendIn, LogQuery
from app.schemas.runs.runs import RelayIn, RelayOut, RunOut
from app.services.run_log import log as run_logs
from app.services.run_log.log_writer import CONTENT_TYPE
from app.web.auth import TaskRead, TaskWrite
from app.web.body import json_body
from app.web.dependencies import RunId, TaskId
from app.web.openapi.errors import errors
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(
    prefix="/api/projects/{project_id}/tasks/{task_id}/runs/{run_id}", tags=["runs"], route_class=UnitRoute
)

AppendBody = Annotated[AppendIn, Depends(json_body(AppendIn))]
RelayBody = Annotated[RelayIn, Depends(json_body(RelayIn))]


@router.post(
    "/append_log",
    operation_id="tasks_runs_append_log_create",
    summary="Append to the log of a run",
    response_description="The run.",
    response_model=RunOut,
    responses=errors(400, 403, 404, 413, 415, 429),
)
async def append_log(
    call: TaskWrite, body: AppendBody, task_id: TaskId, run_id: RunId, timer: TimerDep
) -> Json:
    """Append entries to the log of the run: all of them or none, even if other clients write at the same time."""
    run = await run_logs.append_log(call.session, call.caller, task_id, run_id, body.entries, call.process)
    return Json(run, headers=timer.header("append"))


@router.post(
    "/relay_message",
    operation_id="tasks_runs_relay_message_create",
    summary="Relay a message of the agent",
    response_description="Whether the message was relayed.",
    response_model=RelayOut,
    responses=errors(400, 403, 404, 413, 415, 429, refusals=(StateRefusedOut,)),
)
async def relay_message(call: TaskWrite, body: RelayBody, task_id: TaskId, run_id: RunId) -> Json:
    """Write a message of the agent to the log of the run, to be relayed to a chat.

    The message is stored in the log, but it is not relayed, because no chat is connected to this service: the status is
    always `skipped`.
    """
    return Json(await run_logs.relay_message(call.session, call.caller, task_id, run_id, body, call.process))


@router.get(
    "/logs",
    operation_id="tasks_runs_logs_retrieve",
    summary="Read the whole log",
    response_class=StreamingResponse,
    responses=WHOLE_LOG | errors(403, 404, 429),
)
async def read_logs(
    call: TaskRead,
    task_id: TaskId,
    run_id: RunId,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> StreamingResponse:
    """Return the whole log of the run as JSON lines, after the logs of the runs that it resumes.

    If `Accept` is exactly `text/plain`, the same lines are returned with this content type.
    """
    text = await run_logs.read_text(call.session, call.caller, task_id, run_id, store=call.process.store)
    media_type = TEXT if (accept or "").strip().lower() == TEXT else CONTENT_TYPE
    headers = {"Cache-Control": "no-cache", "Vary": "Accept, Authorization, Cookie"}
    return StreamingResponse(text, media_type=media_type, headers=headers)


@router.get(
    "/session_logs",
    operation_id="tasks_runs_session_logs_retrieve",
    summary="Read the log page by page",
    response_model=list[dict[str, Any]],
    responses=LOG_PAGE | errors(400, 403, 404, 429),
)
async def read_session_logs(
    call: TaskRead, query: Annotated[LogQuery, Query()], task_id: TaskId, run_id: RunId, timer: TimerDep
) -> Response:
    """Return the log entries that match the filters, oldest first, from the run and from the runs that it resumes.

    A page of large entries can have fewer than `limit`; only `X-Has-More` shows whether it is the last page.
    """
    page = await run_logs.read_page(
        call.session, call.caller, task_id, run_id, query, store=call.process.store
    )
    headers = headers_of_page(page, query.offset) | timer.header("read")
    return Response(page.body, media_type=Json.media_type, headers=headers)
