"""Routes of check sets: how the work of a project's runs is set up and checked (contract 18.1)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

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
from app.services.checks import check_sets, scans
from app.web.auth import TaskRead, TaskWrite, VisibleCheckSet
from app.web.body import json_body
from app.web.dependencies import CheckSetId
from app.web.idempotency import OnceDep
from app.web.openapi.errors import refused
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/check_sets", tags=["check sets"], route_class=UnitRoute)

SetBody = Annotated[CheckSetIn, Depends(json_body(CheckSetIn))]
DetectBody = Annotated[DetectIn, Depends(json_body(DetectIn))]


@router.get(
    "",
    operation_id="check_sets_list",
    summary="List check sets",
    response_description="A page of check sets.",
    response_model=CheckSetPage,
)
async def list_sets(call: TaskRead, query: Annotated[CheckSetQuery, Query()], page: PageDep) -> Json:
    """Return the check sets of the project, newest first."""
    count, results = await check_sets.list_sets(
        call.session, call.caller, page.asked, repository=query.repository
    )
    return Json(page.page(count, results))


@router.post(
    "",
    operation_id="check_sets_create",
    summary="Create a check set",
    response_description="The new check set.",
    status_code=201,
    response_model=CheckSetOut,
)
async def create_set(call: TaskWrite, body: SetBody, once: OnceDep) -> Response:
    """Create the check set of a repository, or that of all repositories of the project.

    When a run has delivered its work, a worker sets up a fresh clone of it and executes the checks there, where the
    agent cannot touch them. What they show is the run's `verification`.
    """
    created = check_sets.create_set(call.session, call.caller, body, call.process.settings)
    return await once(created, status_code=201)


@router.post(
    "/detect",
    operation_id="check_sets_detect_create",
    summary="Look for checks in a repository",
    response_description="What the repository suggests.",
    response_model=ScanOut,
    responses=refused(StateRefusedOut)
    | {202: {"model": ScanningOut, "description": "A worker looks through it: ask again."}},
)
async def detect_checks(call: TaskWrite, body: DetectBody) -> Json:
    """Return the checks that the files of a repository suggest; nothing of them is executed.

    Each is valid as an item of `checks`: to use them, create or update the check set of the repository.
    """
    scan, is_made = await scans.detect(call.caller, body.repository, call.process)
    return Json(scan, status_code=200 if is_made else 202)


@router.get(
    "/{set_id}",
    operation_id="check_sets_retrieve",
    summary="Retrieve a check set",
    response_description="The check set.",
    response_model=CheckSetOut,
)
async def retrieve_set(call: TaskRead, set_id: CheckSetId) -> Json:
    """Return a check set."""
    return Json(await check_sets.retrieve_set(call.session, call.caller, set_id))


@router.patch(
    "/{set_id}",
    operation_id="check_sets_partial_update",
    summary="Update a check set",
    response_description="The updated check set.",
    response_model=CheckSetOut,
)
async def update_set(call: TaskWrite, set_id: VisibleCheckSet, body: SetBody) -> Json:
    """Update a check set: each given field is replaced as a whole; null stands for its default."""
    changed = await check_sets.update_set(call.session, call.caller, set_id, body, call.process.settings)
    return Json(changed)


@router.delete(
    "/{set_id}",
    operation_id="check_sets_destroy",
    summary="Delete a check set",
    response_description="Deleted; the response has no body.",
    status_code=204,
)
async def delete_set(call: TaskWrite, set_id: CheckSetId) -> None:
    """Delete a check set. Runs that have begun keep its checks."""
    await check_sets.delete_set(call.session, call.caller, set_id)
