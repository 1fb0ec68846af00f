"""Routes of what checks say of runs (contract 18.6)."""

from fastapi import APIRouter

from app.schemas.errors import StateRefusedOut
from app.schemas.runs.verifications import VerificationOut, VerificationsOut, VerifyOut, WaiveIn
from app.services.runs.verification_attempts import verification_requests
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import RUN_URL, RunId, TaskId
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)


@router.get("/verification", summary="List the verifications of a run")
async def list_attempts(call: TaskRead, task_id: TaskId, run_id: RunId) -> VerificationsOut:
    """Return the newest 50 attempts to check the work of a run, newest first, with the end of each output."""
    return await verification_requests.list_attempts(call.session, call.caller, task_id, run_id)


@router.post(
    "/verify",
    summary="Verify a run again",
    status_code=202,
    responses=refused(StateRefusedOut),
)
async def verify(call: TaskWrite, task_id: TaskId, run_id: RunId, once: OnceDep) -> Json[VerifyOut]:
    """Check the delivered commit of a run that is over again, by the definitions as they are now.

    An attempt that is waiting or running is joined. Status, output and pushes of the run do not change.
    """
    return await once(
        lambda: verification_requests.verify_again(call.session, call.caller, task_id, run_id, call.process),
        status_code=202,
    )


@router.post(
    "/verification/waive",
    summary="Waive the verification of a run",
    responses=refused(StateRefusedOut),
)
async def waive(
    call: TaskWrite, body: Body[WaiveIn], task_id: TaskId, run_id: RunId, once: OnceDep
) -> Json[VerificationOut]:
    """Accept the work of a run whose verdict is `refuted` or `inconclusive`. The verdict stays."""
    return await once(lambda: verification_requests.waive(call.session, call.caller, task_id, run_id, body))
