"""Routes of the runs of a task (contract 5.8, 6.4)."""

from functools import partial

from fastapi import APIRouter

from app.schemas.errors import RunRefusedOut, StateRefusedOut
from app.schemas.runs.run import (
    CancelIn,
    ConnectionTokenOut,
    RunCreateIn,
    RunIn,
    RunOut,
    RunPage,
    RunUpdateIn,
    SetOutputIn,
    StartIn,
    StreamTokenOut,
    UsageOut,
)
from app.schemas.tasks import TaskOut
from app.services.runs import new_runs, run_edits, run_tokens
from app.services.runs.usage import task_usage
from app.services.views import runs as runs_view
from app.web.auth import TaskRead, TaskWrite, VisibleRun
from app.web.body import Body
from app.web.dependencies import TASK_URL, RunId, TaskId
from app.web.idempotency import OnceDep
from app.web.not_modified import HeldDep, conditional, conditional_page
from app.web.openapi.errors import UNCHANGED, over_limit, refused
from app.web.pagination import PageDep
from app.web.responses import Json, SecretJson
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=TASK_URL, tags=["runs"], route_class=UnitRoute)


@router.post(
    "/run",
    summary="Run a task",
    response_description="The task; its `latest_run` is the new run.",
    responses=refused(RunRefusedOut) | over_limit(),
)
async def run_task(call: TaskWrite, body: Body[RunIn], task_id: TaskId, once: OnceDep) -> Json[TaskOut]:
    """Start a cloud run of the task and return the task with its new latest run.

    An empty body selects all defaults. The run is queued; when a worker has a free slot, it performs the run
    in a sandbox. Follow the run's `stream`, or poll the run.
    """
    return await once(new_runs.prepare_cloud_run(call.session, call.caller, task_id, body, call.process))


@router.post(
    "/runs",
    summary="Create a run",
    status_code=201,
    responses=refused(RunRefusedOut) | over_limit(),
)
async def create_run(
    call: TaskWrite, body: Body[RunCreateIn], task_id: TaskId, once: OnceDep
) -> Json[RunOut]:
    """Create a run without starting it: the client performs it itself (`local`), or starts it later (`cloud`)."""
    prepared = new_runs.prepare_run(call.session, call.caller, task_id, body, call.process)
    return await once(prepared, status_code=201)


@router.get(
    "/runs",
    summary="List the runs of a task",
    responses=UNCHANGED,
)
async def list_runs(call: TaskRead, task_id: TaskId, page: PageDep, held: HeldDep) -> Json[RunPage]:
    """Return the runs of a task, newest first."""
    store = call.process.store
    found = await runs_view.list_runs(call.session, call.caller, task_id, page.asked, held, store=store)
    return conditional_page(page, found)


@router.get(
    "/runs/{run_id}",
    summary="Retrieve a run",
    responses=UNCHANGED,
)
async def retrieve_run(call: TaskRead, task_id: TaskId, run_id: RunId, held: HeldDep) -> Json[RunOut]:
    """Return a run: its status, output, error, log and artifacts."""
    store = call.process.store
    return conditional(
        await runs_view.revalidate_run(call.session, call.caller, task_id, run_id, held, store=store)
    )


@router.patch(
    "/runs/{run_id}",
    summary="Update a run",
    responses=refused(StateRefusedOut) | over_limit(),
)
async def update_run(call: TaskWrite, task_id: TaskId, run_id: VisibleRun, body: Body[RunUpdateIn]) -> RunOut:
    """Update a run: only the given fields change; `output` and `state` are merged, one level deep.

    Set `status` to `cancelled` to stop a run: its agent ends within two seconds. A run that is over keeps its
    status. If a run acts with a member's GitHub account or private sandbox environment, only that member may
    change the fields that affect its agent: `state`, `branch`, and a status that starts the run again.
    """
    return await run_edits.update_run(call.session, call.caller, task_id, run_id, body, call.process)


@router.patch(
    "/runs/{run_id}/set_output",
    summary="Set the output of a run",
    responses=refused(StateRefusedOut),
)
async def set_output(call: TaskWrite, body: Body[SetOutputIn], task_id: TaskId, run_id: RunId) -> RunOut:
    """Replace the output of the run; if the task has a `json_schema`, the output must satisfy it."""
    return await run_edits.set_output(call.session, call.caller, task_id, run_id, body.output, call.process)


@router.post(
    "/runs/{run_id}/start",
    summary="Start a run that was created",
    responses=refused(StateRefusedOut, RunRefusedOut) | over_limit(),
)
async def start_run(call: TaskWrite, body: Body[StartIn], task_id: TaskId, run_id: RunId) -> TaskOut:
    """Request that a worker performs a cloud run that has not begun.

    The request can be repeated until a worker has claimed the run. A run that acts with a member's GitHub account or
    private sandbox environment can be started only by that member.
    """
    return await new_runs.start_run(call.session, call.caller, task_id, run_id, body, call.process)


@router.post(
    "/runs/{run_id}/cancel",
    summary="Cancel a cloud run",
    response_description="The run was over before, and is unchanged.",
    responses=refused(StateRefusedOut)
    | {202: {"model": RunOut, "description": "The run, cancelled by this request."}},
)
async def cancel_run(
    call: TaskWrite, body: Body[CancelIn], task_id: TaskId, run_id: RunId, once: OnceDep
) -> Json[RunOut]:
    """Cancel a cloud run, whether it waits or a worker performs it: its agent ends within two seconds.

    Every member of the project who sees the run may cancel it. The request can be repeated: of any number of requests
    one cancels the run, and the others find it over. A `local` run is cancelled by its client, by an update.
    """
    cancel = partial(run_edits.cancel_run, call.session, call.caller, task_id, run_id, body, call.process)
    return await once.json_by(cancel, yes=202, no=200)


@router.post(
    "/runs/{run_id}/resume_in_cloud",
    summary="Resume a run in the cloud",
    response_description="The run, queued.",
    responses=refused(StateRefusedOut, RunRefusedOut) | over_limit(),
)
async def resume_in_cloud(call: TaskWrite, task_id: TaskId, run_id: RunId) -> RunOut:
    """Request that a worker performs a finished run again, or takes over a run that a client performs.

    A run that acts with a member's GitHub account or private sandbox environment can be resumed only by that member.
    """
    return await new_runs.resume_in_cloud(call.session, call.caller, task_id, run_id, call.process)


@router.get("/runs/{run_id}/connection_token", summary="Get a token for one run")
async def issue_connection_token(
    call: TaskWrite, task_id: TaskId, run_id: RunId
) -> SecretJson[ConnectionTokenOut]:
    """Return a token that gives access to this run only.

    It is for a program without an API key, such as an agent outside the workers.
    """
    cipher = call.process.cipher
    return SecretJson(await run_tokens.issue_token(call.session, call.caller, task_id, run_id, cipher=cipher))


@router.get("/runs/{run_id}/stream_token", summary="Get a token for the stream of a run")
async def issue_stream_token(call: TaskRead, task_id: TaskId, run_id: RunId) -> SecretJson[StreamTokenOut]:
    """Return a token with which the `stream` of this run, and nothing else, can be read as the caller.

    Send it as bearer. It is for a page or program that must not have an API key. It ends after a day at most, and with
    the API key or console session that requested it.
    """
    cipher = call.process.cipher
    return SecretJson(
        await run_tokens.issue_stream_token(call.session, call.caller, task_id, run_id, cipher=cipher)
    )


@router.get("/usage", summary="Retrieve the cost of a task")
async def retrieve_usage(call: TaskRead, task_id: TaskId) -> UsageOut:
    """Return what all runs of the task have cost so far, in US dollars, as far as their agents report it."""
    return await task_usage(call.session, call.caller, task_id)
