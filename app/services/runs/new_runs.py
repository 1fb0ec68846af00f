"""Create runs, and request a worker for new and existing ones (contract 5.8, 6.4, 9, 13.1)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.catalog import Catalog
from app.api_limits import RUN_STATE_BYTES
from app.clients.http.host_names import Destinations
from app.clock import utcnow
from app.db import release
from app.db.sweeping import until_none_is_left
from app.enums import TERMINAL_STATUSES, Environment, QuestionKind, RunStatus, Verdict
from app.errors import InvalidInput, RunRefused, StateRefused, UsageLimitExceeded
from app.json_types import JsonDict
from app.models import Run, Task
from app.models.runs.run_facts import AUTHORSHIP, CALLER_TOKEN, CREDENTIAL_SOURCE, SANDBOX_ENVIRONMENT
from app.models.tasks import VERDICT_URGENCY
from app.schemas.fields import parse_uuid
from app.schemas.runs.mcp_servers import McpServerIn
from app.schemas.runs.run import RunCreateIn, RunIn, RunOut, StartIn
from app.schemas.tasks import TaskCreateIn, TaskOut, TaskWithRunOut
from app.security.secrets import Cipher, DecryptionError
from app.services.access import usage_gates
from app.services.access.principal import Principal
from app.services.access.usage_gates import GatedWork
from app.services.access.visibility import lock_task
from app.services.artifacts.staged_artifacts import keep_artifacts, take_artifacts
from app.services.enqueueing import enqueue_run_after_commit, wake_run_worker_after_commit
from app.services.opened_clients import ServiceClients
from app.services.questions.question_lifecycle import withdraw
from app.services.runs import run_authority, run_lifecycle, run_options
from app.services.runs.run_credentials import keep_token
from app.services.runs.run_edits import write_columns
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.tasks.task_reading import retrieve_task
from app.services.tasks.task_writing import create_task, require_origin, require_references
from app.services.views.runs import retrieve_run

_MOST_AHEAD = timedelta(days=90)
_SCHEDULED_AT_ONCE = 200
_STARTABLE = frozenset({RunStatus.QUEUED, RunStatus.NOT_STARTED})
_HINTS_LOST = (
    "The options for the first run of this task cannot be decrypted: the secret that they were kept with is not among "
    "TASKBEACON_SECRET_KEYS any more. Create the task again."
)


def prepare_cloud_run(
    session: AsyncSession, caller: Principal, task_id: UUID, body: RunIn, clients: ServiceClients
) -> GatedWork[TaskOut]:
    """Return the start of a cloud run behind its usage gates; its result is the task."""
    arguments = (session, caller, task_id, body, clients)
    return GatedWork(partial(require_new_run_allowance, *arguments), partial(start_cloud_run, *arguments))


def prepare_run(
    session: AsyncSession, caller: Principal, task_id: UUID, body: RunCreateIn, clients: ServiceClients
) -> GatedWork[RunOut]:
    """Return the creation of a run without a worker behind its usage gates (contract 6.4, 13.1)."""
    arguments = (session, caller, task_id, body, clients)
    return GatedWork(partial(require_new_run_allowance, *arguments), partial(_create_run, *arguments))


def prepare_task(
    session: AsyncSession, caller: Principal, body: TaskCreateIn, clients: ServiceClients
) -> GatedWork[TaskOut]:
    """Return the creation of a task, and of the run that it starts or schedules, behind the usage gates of the run."""
    creation = _TaskCreation(session, caller, body, clients)
    return GatedWork(creation.ask_others, creation.perform)


async def require_new_run_allowance(
    session: AsyncSession, caller: Principal, task_id: UUID, body: RunIn, clients: ServiceClients
) -> None:
    """Check that usage gates and addresses of MCP servers allow a new run (contract 5.8, 6.4). It may commit."""
    if body.imported_mcp_servers:
        await release(session)
        await _require_permitted(body.imported_mcp_servers, clients.destinations)
    if _environment_of(body) is not Environment.CLOUD or not clients.gates:
        return
    run_options.require_consistent(body, clients.catalog)
    await run_authority.require_task_allowance(session, caller, task_id, gates=clients.gates)


async def _require_permitted(servers: Sequence[McpServerIn], destinations: Destinations) -> None:
    refused = await asyncio.gather(*(destinations.refuses(server["url"]) for server in servers))
    if True in refused:
        raise InvalidInput(
            "The URL leads to an address that is not public.",
            attr=f"imported_mcp_servers__{refused.index(True)}__url",
        )


def _offered(server: McpServerIn) -> JsonDict:
    # The protocol of agents has headers as a list.
    headers = server.get("headers", {})
    return {**server, "headers": [{"name": name, "value": value} for name, value in headers.items()]}


def _seal(cipher: Cipher, value: object) -> str | None:
    return cipher.encrypt(orjson.dumps(value).decode()) if value else None


def _environment_of(body: RunIn) -> Environment:
    return body.environment if isinstance(body, RunCreateIn) else Environment.CLOUD


async def start_cloud_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: RunIn,
    clients: ServiceClients,
    *,
    scheduled_at: datetime | None = None,
) -> TaskOut:
    """Create a cloud run, which a worker performs, and request a worker after the commit; return the run's task.

    See contract 5.8. A task may have several active runs. If the queue does not answer, a sweep puts the run on the
    queue later. With `scheduled_at` a sweep requests the worker then.
    """
    dispatch = scheduled_at is None
    run_id = await _create(
        session, caller, task_id, body, clients, dispatch=dispatch, scheduled_at=scheduled_at
    )
    if dispatch:
        enqueue_run_after_commit(session, clients.queue, run_id)
    return await retrieve_task(session, caller, task_id, store=clients.store)


@dataclass(slots=True)
class _TaskCreation:
    """A request for a new task, which may start or schedule the first run of the task (contract 5.2)."""

    session: AsyncSession
    caller: Principal
    body: TaskCreateIn
    clients: ServiceClients
    # Why a usage gate refuses the run.
    refusal: str | None = None

    @property
    def _starts(self) -> bool:
        return self.body.start_run or self.body.scheduled_at is not None

    async def ask_others(self) -> None:
        """Check the addresses of MCP servers, and ask the usage gates whether the run may start; commits if so."""
        servers, gates = self.body.imported_mcp_servers or (), self.clients.gates if self._starts else ()
        if not servers and not gates:
            return
        await self._check()
        await release(self.session)
        await _require_permitted(servers, self.clients.destinations)
        try:
            await usage_gates.ask_gates(gates, project_id=self.caller.project.id, user_id=self.caller.user_id)
        except UsageLimitExceeded as error:
            self.refusal = error.body["error"]

    async def perform(self) -> TaskOut:
        """Create the task, and the run if one was requested. A refused run does not prevent the task."""
        hints = await self._check()
        encrypted = _seal(self.clients.cipher, hints)
        task = await create_task(
            self.session, self.caller, self.body, store=self.clients.store, encrypted_hints=encrypted
        )
        return await self._with_run(task) if self._starts else task

    # Called before the gates are asked, and again at the creation: asking commits, so the rows may change meanwhile.
    async def _check(self) -> JsonDict:
        hints, scheduled_at = run_options.hints_of(self.body), self.body.scheduled_at
        await require_references(self.session, self.caller, self.body)
        require_origin(self.body)
        if hints:
            run = RunIn.model_validate(hints)
            run_options.require_consistent(run, self.clients.catalog)
            run_options.require_effort(run_options.requested_state(run), self.clients.catalog)
        if self.body.sandbox_environment_id is not None:
            await run_authority.require_usable_environment(
                self.session, self.caller, self.body.sandbox_environment_id
            )
        if scheduled_at is not None and not timedelta() < scheduled_at - utcnow() <= _MOST_AHEAD:
            raise InvalidInput(
                f"Must be in the future, at most {_MOST_AHEAD.days} days ahead.", attr="scheduled_at"
            )
        return hints

    async def _with_run(self, task: TaskOut) -> TaskWithRunOut:
        refusal, scheduled_at = self.refusal, self.body.scheduled_at
        try:
            if refusal is None:
                task = await start_cloud_run(
                    self.session, self.caller, task["id"], RunIn(), self.clients, scheduled_at=scheduled_at
                )
        except (InvalidInput, RunRefused) as error:
            refusal = error.body["detail"]
        return {**task, "run": task["latest_run"], "run_error": refusal}


async def _create_run(
    session: AsyncSession, caller: Principal, task_id: UUID, body: RunCreateIn, clients: ServiceClients
) -> RunOut:
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
    scheduled_at: datetime | None = None,
) -> UUID:
    catalog, environment = clients.catalog, _environment_of(body)
    run_options.require_consistent(body, catalog)
    task = await lock_task(session, caller, task_id)
    options = _with_hints(body, task, caller, clients.cipher)
    state = await _state(session, task, options, catalog)
    run_options.require_effort(state, catalog)
    environment_id = parse_uuid(state.pop(SANDBOX_ENVIRONMENT, None))
    authority = await run_authority.authorize_new_run(
        session, caller, task, body, authorship=state.get(AUTHORSHIP), environment_id=environment_id
    )
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
        encrypted_mcp_servers=_seal(clients.cipher, list(map(_offered, options.imported_mcp_servers))),
        scheduled_at=scheduled_at,
    )
    if task.latest_run_id is not None and task.verdict_urgency >= VERDICT_URGENCY[Verdict.INCONCLUSIVE]:
        await withdraw(session, [task.latest_run_id], kind=QuestionKind.VERDICT)
    # Before the effects on Redis, which sweeps repair. For a run outside our workers, nothing repairs this effect.
    keep_artifacts(session, clients.store, task.project_id, [each["storage_path"] for each in artifacts])
    run_id = await run_lifecycle.open_run(session, new, dispatch=dispatch, events=clients.events)
    if authority.is_personal or new.encrypted_mcp_servers is not None or scheduled_at is not None:
        await run_authority.freeze_task(session, run_id, task.id)
    if state.get(CREDENTIAL_SOURCE) == CALLER_TOKEN and environment is Environment.CLOUD:
        assert body.github_user_token is not None
        await keep_token(session, clients.cipher, run_id, body.github_user_token)
    return run_id


def _with_hints(body: RunIn, task: Task, caller: Principal, cipher: Cipher) -> RunIn:
    if task.encrypted_hints is None:
        return body
    try:
        hints = orjson.loads(cipher.decrypt(task.encrypted_hints))
    except DecryptionError:
        raise RunRefused(_HINTS_LOST) from None
    if task.created_by_id != caller.user_id:
        # Headers of these servers are secrets of the creator.
        hints.pop("imported_mcp_servers", None)
    return run_options.with_hints(body, RunIn.model_validate(hints))


async def _state(session: AsyncSession, task: Task, body: RunIn, catalog: Catalog) -> JsonDict:
    state: JsonDict = {}
    if body.resume_from_run_id is not None:
        previous: JsonDict | None = await session.scalar(
            select(Run.state).where(Run.id == body.resume_from_run_id, Run.task_id == task.id)
        )
        if previous is None:
            raise RunRefused("Invalid resume_from_run_id")
        state = run_options.inherited_state(previous)
    state |= run_options.requested_state(body)
    return run_options.with_provider(state, catalog)


async def start_scheduled_runs(clients: ServiceClients) -> int:
    """Queue the scheduled runs whose time has come, each once, in any number of processes; return how many."""

    async def start_some(session: AsyncSession) -> int:
        begun, found = await run_lifecycle.queue_scheduled(
            session, most=_SCHEDULED_AT_ONCE, events=clients.events
        )
        for run_id in begun:
            enqueue_run_after_commit(session, clients.queue, run_id)
        return found

    return await until_none_is_left(clients.sessions, start_some)


async def start_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: StartIn,
    clients: ServiceClients,
) -> TaskOut:
    """Request a worker for an existing cloud run, as the caller; return its task. Raises StateRefused."""
    await run_authority.require_task_allowance(session, caller, task_id, gates=clients.gates, run_id=run_id)
    run = await run_authority.lock_run(session, caller, task_id, run_id)
    if run.environment != Environment.CLOUD:
        raise StateRefused("Only cloud runs can be started via this endpoint")
    if run.status not in _STARTABLE:
        raise StateRefused(
            f"Only queued or not_started cloud runs can be started (current status: {run.status})"
        )
    authority = await run_authority.authorize_run(
        session, run_authority.Intent.PERFORM, caller.user_id, run.holdings
    )
    added = _start_state(body, {artifact["id"] for artifact in run.artifacts})
    await run_authority.record(session, run_id, task_id, authority)
    if added:
        await write_columns(session, run_id, {"state": Run.state.op("||")(added)})
    await run_lifecycle.request_worker(session, run_id, events=clients.events)
    enqueue_run_after_commit(session, clients.queue, run_id)
    return await retrieve_task(session, caller, task_id, store=clients.store)


def _start_state(body: StartIn, known: set[str]) -> JsonDict:
    artifact_ids = list(dict.fromkeys(body.pending_user_artifact_ids))
    missing = [artifact_id for artifact_id in artifact_ids if artifact_id not in known]
    if missing:
        raise RunRefused(
            "Some pending_user_artifact_ids are invalid for this run", missing_artifact_ids=missing
        )
    state: JsonDict = {}
    if body.pending_user_message is not None:
        state["pending_user_message"] = body.pending_user_message
    if artifact_ids:
        state["pending_user_artifact_ids"] = artifact_ids
    return state


async def resume_in_cloud(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, clients: ServiceClients
) -> RunOut:
    """Queue a run that has ended, or that a client performed, as the caller; return it. Raises StateRefused."""
    await run_authority.require_task_allowance(session, caller, task_id, gates=clients.gates, run_id=run_id)
    run = await run_authority.lock_run(session, caller, task_id, run_id)
    if run.environment == Environment.CLOUD and run.status not in TERMINAL_STATUSES:
        raise StateRefused("Run is already active in cloud")
    authority = await run_authority.authorize_run(
        session, run_authority.Intent.PERFORM, caller.user_id, run.holdings
    )
    await run_authority.record(session, run_id, task_id, authority)
    if run.has_open_attempt:
        await verification_lifecycle.abandon(session, run_id, is_over=False)
    await run_lifecycle.reopen(session, run_id, events=clients.events)
    enqueue_run_after_commit(session, clients.queue, run_id)
    wake_run_worker_after_commit(session, clients.redis, run_id)
    return await retrieve_run(session, caller, task_id, run_id, store=clients.store)
