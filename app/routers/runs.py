"""Runs of a task (contract 5.8, 6.4)."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.schemas.errors import RunRefusedOut
from app.schemas.runs import RunIn, RunOut, RunPage
from app.schemas.tasks import TaskOut
from app.services import runs
from app.web.answers import Json
from app.web.auth import TaskRead, TaskWrite
from app.web.body import json_body
from app.web.dependencies import QueueDep, RunId, SessionDep, StoreDep, TaskId
from app.web.documentation import errors
from app.web.pagination import PageDep

__all__ = ["router"]

router = APIRouter(prefix="/api/projects/{project_id}/tasks/{task_id}", tags=["runs"])

RunBody = Annotated[RunIn, Depends(json_body(RunIn))]


@router.post(
    "/run",
    operation_id="tasks_run_create",
    summary="Run a task",
    response_description="The task; its `latest_run` is the new run.",
    response_model=TaskOut,
    responses=errors(400, 403, 404, 413, 415, 429, refusal=RunRefusedOut),
)
async def run_task(
    caller: TaskWrite, body: RunBody, task_id: TaskId, session: SessionDep, store: StoreDep, queue: QueueDep
) -> Json:
    """Start a cloud run of the task and return the task with its new latest run.

    An empty body takes every default. The run is queued; a worker picks it up within moments and performs it in a
    sandbox. Follow it by reading the run, or its `log_url`.
    """
    return Json(await runs.start_cloud_run(session, caller, task_id, body, store=store, queue=queue))


@router.get(
    "/runs",
    operation_id="tasks_runs_list",
    summary="List the runs of a task",
    response_description="A page of runs.",
    response_model=RunPage,
    responses=errors(403, 404, 429),
)
async def list_runs(
    caller: TaskRead, task_id: TaskId, page: PageDep, session: SessionDep, store: StoreDep
) -> Json:
    """Return the runs of a task, newest first."""
    count, results = await runs.list_runs(
        session, caller, task_id, limit=page.limit, offset=page.offset, store=store
    )
    return Json(page.page(count, results))


@router.get(
    "/runs/{run_id}",
    operation_id="tasks_runs_retrieve",
    summary="Retrieve a run",
    response_description="The run.",
    response_model=RunOut,
    responses=errors(403, 404, 429),
)
async def retrieve_run(
    caller: TaskRead, task_id: TaskId, run_id: RunId, session: SessionDep, store: StoreDep
) -> Json:
    """Return a run: its status, output, error, log and artifacts."""
    return Json(await runs.retrieve_run(session, caller, task_id, run_id, store=store))
