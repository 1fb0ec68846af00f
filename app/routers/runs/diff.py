"""Routes of the files that a run changed (contract 17.9, 19)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.clients.storage.storage_keys import RunRef
from app.schemas.errors import StateRefusedOut
from app.schemas.runs.diff import DiffOut, DiffQuery, FileTextOut, FileTextQuery
from app.services.artifacts.diff import RunChanges
from app.web.auth import TaskRead
from app.web.dependencies import RUN_URL, Call, RunId, TaskId
from app.web.not_modified import HeldDep, conditional
from app.web.openapi.errors import UNCHANGED, refused
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=f"{RUN_URL}/diff", tags=["artifacts"], route_class=UnitRoute)


def _changes(call: Call, task_id: UUID, run_id: UUID) -> RunChanges:
    run = RunRef(call.caller.project.id, task_id, run_id)
    return RunChanges(call.session, call.caller, run, call.process)


@router.get(
    "",
    summary="Retrieve the changes of a run",
    responses=UNCHANGED | refused(StateRefusedOut, status=404),
)
async def retrieve_diff(
    call: TaskRead, query: Annotated[DiffQuery, Query()], task_id: TaskId, run_id: RunId, held: HeldDep
) -> Json[DiffOut]:
    """Return the files that the run changed, in pages of at most 2 MB: from its patch (`changes.patch`), or live.

    A live diff shows the workspace of a run whose agent works or waits. The run's worker makes it when it is asked for,
    and it is kept for three seconds. If there is none, `missing` says why.
    """
    return conditional(await _changes(call, task_id, run_id).page(query, held))


@router.get("/file", summary="Retrieve the former text of a changed file")
async def retrieve_file_text(
    call: TaskRead, query: Annotated[FileTextQuery, Query()], task_id: TaskId, run_id: RunId
) -> FileTextOut:
    """Return the text that a file had where the work began, to show the lines around its changes.

    Lines between changes are the same before and after. New and large files, and those that are no text, have none.
    """
    return await _changes(call, task_id, run_id).text(query)
