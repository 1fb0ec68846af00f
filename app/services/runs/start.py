"""Create runs, with or without a request for a worker (contract 5.8, 6.4, 9)."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.catalog import Catalog
from app.api_limits import RUN_STATE_BYTES
from app.enums import Environment
from app.errors import RunRefused
from app.models import Run, Task
from app.schemas.fields import parse_uuid
from app.schemas.runs.runs import RunCreateIn, RunIn, RunOut
from app.schemas.tasks import TaskOut
from app.services.access.principal import Principal
from app.services.access.visibility import lock_task
from app.services.artifacts.staged import keep_artifacts, take_artifacts
from app.services.enqueueing import enqueue_run_after_commit
from app.services.opened_clients import ServiceClients
from app.services.runs import authority as run_authority
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs import options as run_options
from app.services.runs.credentials import CALLER_TOKEN, CREDENTIAL_SOURCE, keep_token
from app.services.tasks.tasks import retrieve_task
from app.services.views.runs import retrieve_run


async def require_allowance(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: RunIn,
    clients: ServiceClients,
) -> None:
    """Return normally if the project may have this run (contract 5.8 steps 1 to 3, 6.4). Call it before creating the run.

    Separate from the creation: usage gates may make requests, and the session's transaction may end meanwhile.

    Raises:
        InvalidInput: the options contradict each other.
        NotFound: there is no such task for this caller.
        UsageLimitExceeded: the project is over its usage limit.

    """
    if _environment_of(body) is not Environment.CLOUD or not clients.gates:
        return
    run_options.require_consistent(body, clients.catalog)
    await run_authority.require_allowance(session, caller, task_id, gates=clients.gates)


def _environment_of(body: RunIn) -> Environment:
    return body.environment if isinstance(body, RunCreateIn) else Environment.CLOUD


async def start_cloud_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: RunIn,
    clients: ServiceClients,
) -> TaskOut:
    """Create a queued cloud run, request a worker after the commit, and return the task with the run (contract 5.8).

    A task may have several active runs. If the queue does not answer, the run waits for the sweep.

    Raises:
        InvalidInput: the options contradict each other, or the caller may not author the run.
        NotFound: there is no such task for this caller.
        RunRefused: a run, environment or artifact that the request names does not exist, or the state is too large.

    """
    run_id = await _create(session, caller, task_id, body, clients, dispatch=True)
    enqueue_run_after_commit(session, clients.queue, run_id)
    return await retrieve_task(session, caller, task_id, store=clients.store)


async def create_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: RunCreateIn,
    clients: ServiceClients,
) -> RunOut:
    """Create a queued run without a worker: the client performs it, or starts it later (contract 6.4, 13.1).

    Raises:
        InvalidInput, NotFound, RunRefused: as `start_cloud_run`.

    """
    run_id = await _create(session, caller, task_id, body, clients, dispatch=False)
    return await retrieve_run(session, caller, task_id, run_id, store=clients.store)


async def _create(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: RunIn,
    clients: ServiceClients,
    *,
    dispatch: bool,
) -> UUID:
    catalog, environment = clients.catalog, _environment_of(body)
    run_options.require_consistent(body, catalog)
    task = await lock_task(session, caller, task_id)
    state = await _state(session, task, body, catalog)
    run_options.require_effort(state, catalog)
    wanted = parse_uuid(state.pop("sandbox_environment_id", None))
    request = run_authority.request_for_new_run(caller, task, body, state, wanted)
    authority = await run_authority.authorize(session, request)
    state |= authority.state
    artifacts = await take_artifacts(session, task.id, body.pending_user_artifact_ids)
    if artifacts:
        state["pending_user_artifact_ids"] = [artifact["id"] for artifact in artifacts]
    if len(orjson.dumps(state)) > RUN_STATE_BYTES:
        raise RunRefused(f"Run state exceeds the limit of {RUN_STATE_BYTES} bytes")
    new = run_lifecycle.NewRun(
        task_id=task.id,
        project_id=task.project_id,
        environment=environment,
        state=state,
        artifacts=artifacts,
        sandbox_environment_id=authority.environment_id,
        asked_by_id=authority.asker_id,
        asked_task=run_authority.task_snapshot(task.id) if authority.is_personal else None,
    )
    run_id = await run_lifecycle.open_run(session, new, dispatch=dispatch, events=clients.events)
    if state.get(CREDENTIAL_SOURCE) == CALLER_TOKEN and environment is Environment.CLOUD:
        assert body.github_user_token is not None
        await keep_token(session, clients.cipher, run_id, body.github_user_token)
    keep_artifacts(session, clients.store, task.project_id, artifacts)
    return run_id


async def _state(session: AsyncSession, task: Task, body: RunIn, catalog: Catalog) -> dict[str, Any]:
    """Return the state of the new run: the inherited keys, overridden by the request (contract 9.1, 9.2)."""
    state: dict[str, Any] = {}
    if body.resume_from_run_id is not None:
        previous = (
            await session.execute(
                select(Run.state).where(Run.id == body.resume_from_run_id, Run.task_id == task.id)
            )
        ).one_or_none()
        if previous is None:
            raise RunRefused("Invalid resume_from_run_id")
        state = run_options.inherited_state(previous.state)
    state |= run_options.requested_state(body)
    return run_options.with_provider(state, catalog)
