"""Route of the files that a run changed (contract 17.9)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.errors import StateRefusedOut
from app.schemas.runs.diff import DiffOut, DiffQuery
from app.services.artifacts.diff import read_diff
from app.web.auth import TaskRead
from app.web.dependencies import RUN_URL, RunId, TaskId
from app.web.openapi.errors import refused
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=f"{RUN_URL}/diff", tags=["artifacts"], route_class=UnitRoute)


@router.get(
    "",
    operation_id="tasks_runs_diff_retrieve",
    summary="Retrieve the changes of a run",
    response_description="A page of changed files.",
    response_model=DiffOut,
    responses=refused(StateRefusedOut, status=404),
)
async def retrieve_diff(
    call: TaskRead, query: Annotated[DiffQuery, Query()], task_id: TaskId, run_id: RunId
) -> Json:
    """Return the files that the run changed, from its patch (`changes.patch`), in pages of at most 2 MB.

    A run that has changed nothing or has not ended has no files.
    """
    diff = await read_diff(call.session, call.caller, task_id, run_id, query.cursor, store=call.process.store)
    return Json(diff)
