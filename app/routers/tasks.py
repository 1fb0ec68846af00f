"""Routes of the tasks of a project (contract 5.1 to 5.5, 6.2, 6.3, 6.9 to 6.11)."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.schemas.tasks import (
    BatchIn,
    BatchOut,
    FoundOut,
    ModelsOut,
    PinIn,
    PinnedOut,
    PinOut,
    ReferenceQuery,
    RepositoriesOut,
    ResolvedOut,
    SearchQuery,
    SummariesIn,
    SummaryPage,
    TaskListQuery,
    TaskOut,
    TaskPage,
    TaskWithRunOut,
)
from app.services.runs import new_runs, run_options
from app.services.tasks import batches, pins, references, search, task_reading, task_writing
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import TaskId
from app.web.idempotency import OnceDep
from app.web.not_modified import HeldDep, conditional, conditional_page
from app.web.openapi.errors import UNCHANGED, errors
from app.web.pagination import PageDep
from app.web.responses import Json
from app.web.task_bodies import TaskBody, TaskChange
from app.web.unit_route import UnitRoute

router = APIRouter(prefix="/api/projects/{project_id}/tasks", tags=["tasks"], route_class=UnitRoute)
references_router = APIRouter(
    prefix="/api/projects/{project_id}/resolve", tags=["tasks"], route_class=UnitRoute
)


@router.get(
    "",
    summary="List tasks",
    responses=UNCHANGED,
)
async def list_tasks(
    call: TaskRead, page: PageDep, held: HeldDep, query: Annotated[TaskListQuery, Query()]
) -> Json[TaskPage]:
    """Return the tasks of the project that the caller can see, newest first, each with its latest run.

    All filters apply together; `count` is the number of matching tasks. By default, tasks that are archived or
    marked as internal are omitted.
    """
    lists = task_reading.TaskLists(call.session, call.caller, call.process.store, call.process.lists)
    return conditional_page(page, await lists.find(query, page.asked, held))


@router.post(
    "",
    summary="Create a task",
    status_code=201,
    response_model=TaskWithRunOut,
)
async def create_task(call: TaskWrite, body: TaskBody, once: OnceDep) -> Json:
    """Create a task. Every field is optional.

    This starts no run, unless `start_run` or `scheduled_at` says so: use `POST …/tasks/{task_id}/run`. A run that is
    refused, by a usage limit for example, does not prevent the task: `run` is null then, and `run_error` says why.
    """
    prepared = new_runs.prepare_task(call.session, call.caller, body, call.process)
    return await once(prepared, status_code=201)


@router.get("/repositories", summary="List the repositories of tasks")
async def list_repositories(call: TaskRead) -> RepositoriesOut:
    """Return the repositories of the tasks that the caller can see, sorted. Tasks with `internal` set are left out."""
    return {"repositories": await task_reading.list_repositories(call.session, call.caller)}


@router.get("/models", summary="List models for runs")
async def list_models(call: TaskRead) -> ModelsOut:
    """Return the models that clients can offer to people, of all agents that runs may request.

    An empty list says that no model is known: clients then use a default of their own.
    """
    return {"models": run_options.list_models(call.process.catalog)}


@router.post("/summaries", summary="Summarise tasks")
async def summarize_tasks(call: TaskRead, page: PageDep, body: Body[SummariesIn]) -> Json[SummaryPage]:
    """Return title, repository and status of the tasks with the given ids. A request has at most 5000 ids.

    Tasks that the caller cannot see are left out.
    """
    count, results = await task_reading.summarize_tasks(call.session, call.caller, body.ids, page.asked)
    return Json(page.page(count, results))


@router.get("/pinned", summary="List the caller's pins")
async def list_pinned(call: TaskRead) -> PinnedOut:
    """Return the tasks of the project that the caller has pinned and sees, the newest pin first."""
    return {"task_ids": await pins.list_pinned(call.session, call.caller)}


@router.get(
    "/search",
    operation_id="tasks_search_list",
    summary="Search tasks, pull requests and artifacts",
    response_description="What was found: tasks, then pull requests, then artifacts, the newest of each first.",
)
async def search_tasks(call: TaskRead, query: Annotated[SearchQuery, Query()]) -> Json[list[FoundOut]]:
    """Find tasks by title, description or number, pull requests of runs by URL, and artifacts of runs by name.

    Archived tasks are included, and tasks with `internal` set are left out. Dismissed artifacts are left out.
    """
    return Json(await search.search(call.session, call.caller, query))


@router.post("/bulk", summary="Archive, unarchive or delete many tasks")
async def change_tasks(call: TaskWrite, body: Body[BatchIn], once: OnceDep) -> Json[BatchOut]:
    """Archive, unarchive or delete up to 500 tasks, each as the request for it alone does.

    A task that is not found affects no other, and a task that was so already is left unchanged.
    """
    return await once(lambda: batches.change_tasks(call.session, call.caller, body))


@router.get(
    "/{task_id}",
    summary="Retrieve a task",
    responses=UNCHANGED,
)
async def retrieve_task(call: TaskRead, task_id: TaskId, held: HeldDep) -> Json[TaskOut]:
    """Return a task with its latest run."""
    store = call.process.store
    return conditional(
        await task_reading.revalidate_task(call.session, call.caller, task_id, held, store=store)
    )


@router.patch("/{task_id}", summary="Update a task")
async def update_task(call: TaskWrite, task_id: TaskId, body: TaskChange) -> TaskOut:
    """Update a task: only the given fields change.

    The fields `origin_product`, `signal_report` and `signal_report_task_relationship` are fixed when the task is
    created: in an update, they are validated and then ignored.
    """
    return await task_writing.update_task(call.session, call.caller, task_id, body, store=call.process.store)


@router.put("/{task_id}", summary="Update a task (as PATCH)")
async def replace_task(call: TaskWrite, task_id: TaskId, body: TaskChange) -> TaskOut:
    """Update a task exactly as PATCH does: every field is optional, and only the given fields change."""
    return await task_writing.update_task(call.session, call.caller, task_id, body, store=call.process.store)


@router.delete(
    "/{task_id}",
    summary="Delete a task",
    response_description="Deleted; the response has no body.",
)
async def delete_task(call: TaskWrite, task_id: TaskId) -> None:
    """Delete a task permanently.

    Its number is not used again. If one of its runs is in progress, that run continues to its end.
    """
    await batches.delete_task(call.session, call.caller, task_id)


@router.post("/{task_id}/pin", summary="Pin or unpin a task")
async def pin_task(call: TaskWrite, body: Body[PinIn], task_id: TaskId) -> PinOut:
    """Pin or unpin a task. A pin is visible to the caller only and does not change the task.

    A task that is pinned already keeps its place; one that is unpinned and pinned again comes first.
    """
    return await pins.set_pin(call.session, call.caller, task_id, pinned=body.pinned)


@references_router.get(
    "",
    summary="Resolve a reference",
    responses=errors(409),
)
async def resolve_reference(call: TaskRead, query: Annotated[ReferenceQuery, Query()]) -> ResolvedOut:
    """Return the ids of the task or run that a number, a slug, an id or the beginning of one means to the caller.

    More than one match is 409 `ambiguous_reference`.
    """
    return await references.resolve(call.session, call.caller, query.kind, query.ref)
