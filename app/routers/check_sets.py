"""Routes of check sets (contract 18.1)."""

from typing import Annotated

from fastapi import APIRouter, Query

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
from app.services.check_sources import check_sets, repository_scans
from app.web.auth import TaskRead, TaskWrite, VisibleCheckSet
from app.web.body import Body
from app.web.dependencies import CheckSetId, CheckSetWarnings
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.pagination import PageDep
from app.web.responses import Json, json_by
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/check_sets", tags=["check sets"], route_class=UnitRoute)


@router.get("", summary="List check sets")
async def list_sets(
    call: TaskRead, query: Annotated[CheckSetQuery, Query()], page: PageDep
) -> Json[CheckSetPage]:
    """Return the check sets of the project, newest first."""
    count, results = await check_sets.list_sets(
        call.session, call.caller, page.asked, repository=query.repository
    )
    return Json(page.page(count, results))


@router.post(
    "",
    summary="Create a check set",
    status_code=201,
)
async def create_set(
    call: TaskWrite, body: Body[CheckSetIn], once: OnceDep, warnings: CheckSetWarnings
) -> Json[CheckSetOut]:
    """Create the check set of a repository, or that of all repositories of the project.

    When a run has delivered its work, a worker sets up a fresh clone of it and executes the checks there, where the
    agent cannot touch them. What they show is the run's `verification`.
    """
    return await once(
        lambda: check_sets.create_set(call.session, call.caller, body, warnings), status_code=201
    )


@router.post(
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
    redis, queue = call.process.redis, call.process.queue
    scan = await repository_scans.detect(call.caller, body.repository, redis=redis, queue=queue)
    return json_by(scan, yes=200, no=202)


@router.get("/{set_id}", summary="Retrieve a check set")
async def retrieve_set(call: TaskRead, set_id: CheckSetId) -> CheckSetOut:
    """Return a check set; only the answer to a change of one has `warnings`."""
    return await check_sets.retrieve_set(call.session, call.caller, set_id)


@router.patch("/{set_id}", summary="Update a check set")
async def update_set(
    call: TaskWrite, set_id: VisibleCheckSet, body: Body[CheckSetIn], warnings: CheckSetWarnings
) -> CheckSetOut:
    """Update a check set: each given field is replaced as a whole; null stands for its default."""
    return await check_sets.update_set(call.session, call.caller, set_id, body, warnings)


@router.delete(
    "/{set_id}",
    summary="Delete a check set",
    response_description="Deleted; the response has no body.",
)
async def delete_set(call: TaskWrite, set_id: CheckSetId) -> None:
    """Delete a check set. Runs that have begun keep its checks."""
    await check_sets.delete_set(call.session, call.caller, set_id)
