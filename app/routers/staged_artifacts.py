"""Routes that upload files for the next run of a task (contract 5.9, 6.1)."""

from fastapi import APIRouter

from app.schemas.errors import StateRefusedOut
from app.schemas.staged_artifacts import ArtifactsOut, FinalizeIn, PreparedPage, PrepareIn
from app.services.artifacts import staged_artifacts
from app.web.auth import TaskWrite
from app.web.body import Body
from app.web.dependencies import TASK_URL, TaskId
from app.web.openapi.errors import refused
from app.web.responses import SecretJson
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=f"{TASK_URL}/staged_artifacts", tags=["artifacts"], route_class=UnitRoute)


@router.post(
    "/prepare_upload",
    summary="Prepare uploads for the next run",
    responses=refused(StateRefusedOut),
)
async def prepare_upload(call: TaskWrite, body: Body[PrepareIn], task_id: TaskId) -> SecretJson[PreparedPage]:
    """Return a signed form for each file. The client uploads the file with it to object storage within an hour.

    POST the form's fields verbatim, then the file as the part `file`, to the form's `url`; no API key is needed there.
    Then call `finalize_upload`: without it the run does not get the file. A file has at most 30 MB, a PDF that is
    attached for the agent (`user_attachment`) at most 10 MB.
    """
    prepared = await staged_artifacts.prepare_uploads(
        call.session, call.caller, task_id, body, store=call.process.store
    )
    return SecretJson({"artifacts": prepared})


@router.post(
    "/finalize_upload",
    summary="Finalise uploads for the next run",
    responses=refused(StateRefusedOut),
)
async def finalize_upload(call: TaskWrite, body: Body[FinalizeIn], task_id: TaskId) -> ArtifactsOut:
    """Verify the uploaded files and store them for 24 hours, so that a run can use them: all of them, or none.

    Send the ids to `POST …/run` as `pending_user_artifact_ids`: exactly one run can use a file. Calling this operation
    again renews the 24 hours.
    """
    finished = await staged_artifacts.finalize_uploads(
        call.session, call.caller, task_id, body, store=call.process.store
    )
    return {"artifacts": finished}
