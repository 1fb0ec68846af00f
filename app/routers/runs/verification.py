"""Routes of check sets, and of what their checks say of runs (contract 18.1, 18.6)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.schemas.checks.check_sets import (
    CheckSetIn,
    CheckSetOut,
    CheckSetPage,
    CheckSetQuery,
    DetectIn,
    ScanningOut,
    ScanOut,
)
from app.schemas.errors import StateRefusedOut
from app.schemas.runs.verification import VerificationOut, VerificationsOut, VerifyOut, WaiveIn
from app.services import project_overview
from app.services.checks import check_sets, scans
from app.services.runs.verification import verification_requests
from app.web.auth import TaskRead, TaskWrite, VisibleCheckSet
from app.web.body import Body
from app.web.dependencies import RUN_URL, CheckSetId, RunId, TaskId, process_of
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

check_sets_router = APIRouter(
    prefix="/api/projects/{project_id}/check_sets", tags=["check sets"], route_class=UnitRoute
)
runs_router = APIRouter(prefix=RUN_URL, tags=["runs"], route_class=UnitRoute)


async def _find_warnings(request: Request) -> list[str]:
    process = process_of(request)
    return await project_overview.find_warnings(process.redis, process.settings)


Warnings = Annotated[list[str], Depends(_find_warnings)]


@check_sets_router.get(
    "",
    summary="List check sets",
)
async def list_sets(
    call: TaskRead, query: Annotated[CheckSetQuery, Query()], page: PageDep
) -> Json[CheckSetPage]:
    """Return the check sets of the project, newest first."""
    count, results = await check_sets.list_sets(
        call.session, call.caller, page.asked, repository=query.repository
    )
    return Json(page.page(count, results))


@check_sets_router.post(
    "",
    summary="Create a check set",
    status_code=201,
)
async def create_set(
    call: TaskWrite, body: Body[CheckSetIn], once: OnceDep, warnings: Warnings
) -> Json[CheckSetOut]:
    """Create the check set of a repository, or that of all repositories of the project.

    When a run has delivered its work, a worker sets up a fresh clone of it and executes the checks there, where the
    agent cannot touch them. What they show is the run's `verification`.
    """
    created = check_sets.create_set(call.session, call.caller, body, warnings)
    return await once(created, status_code=201)


@check_sets_router.post(
    "/detect",
    summary="Look for checks in a repository",
    response_model=ScanOut,
    responses=refused(StateRefusedOut)
    | {202: {"model": ScanningOut, "description": "A worker looks through it: ask again."}},
)
async def detect_checks(call: TaskWrite, body: Body[DetectIn]) -> Json:
    """Return the checks that the files of a repository suggest; nothing of them is executed.

    Each is valid as an item of `checks`: to use them, create or update the check set of the repository.
    """
    scan, is_made = await scans.detect(call.caller, body.repository, call.process)
    return Json(scan, status_code=200 if is_made else 202)


@check_sets_router.get(
    "/{set_id}",
    summary="Retrieve a check set",
)
async def retrieve_set(call: TaskRead, set_id: CheckSetId) -> CheckSetOut:
    """Return a check set; only the answer to a change of one has `warnings`."""
    return await check_sets.retrieve_set(call.session, call.caller, set_id)


@check_sets_router.patch(
    "/{set_id}",
    summary="Update a check set",
)
async def update_set(
    call: TaskWrite, set_id: VisibleCheckSet, body: Body[CheckSetIn], warnings: Warnings
) -> CheckSetOut:
    """Update a check set: each given field is replaced as a whole; null stands for its default."""
    return await check_sets.update_set(call.session, call.caller, set_id, body, warnings)


@check_sets_router.delete(
    "/{set_id}",
    summary="Delete a check set",
    response_description="Deleted; the response has no body.",
)
async def delete_set(call: TaskWrite, set_id: CheckSetId) -> None:
    """Delete a check set. Runs that have begun keep its checks."""
    await check_sets.delete_set(call.session, call.caller, set_id)


@runs_router.get(
    "/verification",
    summary="List the verifications of a run",
)
async def list_attempts(call: TaskRead, task_id: TaskId, run_id: RunId) -> VerificationsOut:
    """Return the newest 50 attempts to check the work of a run, newest first, with the end of each output."""
    return await verification_requests.list_attempts(call.session, call.caller, task_id, run_id)


@runs_router.post(
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
        verification_requests.verify_again(call.session, call.caller, task_id, run_id, call.process),
        status_code=202,
    )


@runs_router.post(
    "/verification/waive",
    summary="Waive the verification of a run",
    responses=refused(StateRefusedOut),
)
async def waive(
    call: TaskWrite, body: Body[WaiveIn], task_id: TaskId, run_id: RunId, once: OnceDep
) -> Json[VerificationOut]:
    """Accept the work of a run whose verdict is `refuted` or `inconclusive`. The verdict stays."""
    return await once(verification_requests.waive(call.session, call.caller, task_id, run_id, body))
