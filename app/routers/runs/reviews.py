"""Routes of a person's review of the changes of a run (contract 19.5)."""

from fastapi import APIRouter

from app.schemas.runs.reviews import ReviewIn, ReviewOut
from app.services.artifacts import reviews
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import RUN_URL, RunId, TaskId
from app.web.not_modified import HeldDep, conditional
from app.web.openapi.errors import UNCHANGED, errors
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(
    prefix=f"{RUN_URL}/review",
    tags=["artifacts"],
    route_class=UnitRoute,
)


@router.get(
    "",
    summary="Retrieve one's review of a run",
    responses=UNCHANGED,
)
async def retrieve_review(call: TaskRead, task_id: TaskId, run_id: RunId, held: HeldDep) -> Json[ReviewOut]:
    """Return the files that the caller has marked as viewed, their comments, and those that were sent before.

    Only the caller sees unsent comments. To follow what the caller writes on another device, ask again with
    `If-None-Match`.
    """
    return conditional(await reviews.read_review(call.session, call.caller, task_id, run_id, held))


@router.put(
    "",
    summary="Replace one's review of a run",
    responses=errors(409),
)
async def write_review(call: TaskWrite, task_id: TaskId, run_id: RunId, body: Body[ReviewIn]) -> ReviewOut:
    """Replace the caller's review, at most 64 KiB of JSON, if `version` is that of the present one.

    If another device has written it meanwhile, the answer is 409 `version_conflict`, with that review in `extra`.
    """
    return await reviews.write_review(call.session, call.caller, task_id, run_id, body)
