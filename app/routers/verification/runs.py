"""Routes of the verification of a run (contract 18.6)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.schemas.errors import StateRefusedOut
from app.schemas.runs.verification import VerificationOut, VerificationsOut, VerifyOut, WaiveIn
from app.services.runs.attempts import requests
from app.web.auth import TaskRead, TaskWrite
from app.web.body import json_body
from app.web.dependencies import RUN_URL, RunId, TaskId
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)

WaiveBody = Annotated[WaiveIn, Depends(json_body(WaiveIn))]


@router.get(
    "/verification",
    operation_id="tasks_runs_verification_list",
    summary="List the verifications of a run",
    response_description="All attempts, newest first.",
    response_model=VerificationsOut,
)
async def list_attempts(call: TaskRead, task_id: TaskId, run_id: RunId) -> Json:
    """Return all attempts to check the work of a run, with the end of each output."""
    attempts = await requests.list_attempts(call.session, call.caller, task_id, run_id)
    return Json({"count": len(attempts), "results": attempts})


@router.post(
    "/verify",
    operation_id="tasks_runs_verify_create",
    summary="Verify a run again",
    response_description="The attempt that is waiting or running.",
    status_code=202,
    response_model=VerifyOut,
    responses=refused(StateRefusedOut),
)
async def verify(call: TaskWrite, task_id: TaskId, run_id: RunId, once: OnceDep) -> Response:
    """Check the delivered commit of a run that is over again, by the definitions as they are now.

    An attempt that is waiting or running is joined. Status, output and pushes of the run do not change.
    """
    return await once(
        requests.verify_again(call.session, call.caller, task_id, run_id, call.process), status_code=202
    )


@router.post(
    "/verification/waive",
    operation_id="tasks_runs_verification_waive_create",
    summary="Waive the verification of a run",
    response_description="The verification.",
    status_code=200,
    response_model=VerificationOut,
    responses=refused(StateRefusedOut),
)
async def waive(call: TaskWrite, body: WaiveBody, task_id: TaskId, run_id: RunId, once: OnceDep) -> Response:
    """Accept the work of a run whose verdict is `refuted` or `inconclusive`. The verdict stays."""
    return await once(requests.waive(call.session, call.caller, task_id, run_id, body))
