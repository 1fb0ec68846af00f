"""Change the fields and the output of an existing run for clients (contract 6.4, 13.2).

A change of fields locks the run's row, so that no concurrent change is lost. The last writer of the output wins.
"""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import OutputInvalid
from app.agents.outputs.killable_check import QueueFull, check_given
from app.api_limits import RUN_OUTPUT_BYTES, RUN_STATE_BYTES
from app.clock import utcnow
from app.db import release
from app.db.statements import rows_of
from app.enums import TERMINAL_STATUSES, Environment, RunStatus
from app.errors import StateRefused, Throttled
from app.json_types import JsonDict
from app.models import Run, Task
from app.models.runs.run_facts import (
    ACCEPTANCE,
    AUTHORSHIP,
    CANCELLATION,
    CREDENTIAL_SOURCE,
    FACTS,
    SANDBOX_ENVIRONMENT,
)
from app.models.runs.run_transitions import DELIVERED
from app.schemas.runs.run import CancelIn, RunOut, RunUpdateIn
from app.services.access.principal import Principal
from app.services.access.visibility import require_run, visible_run
from app.services.enqueueing import enqueue_run_after_commit, wake_run_worker_after_commit
from app.services.opened_clients import ServiceClients
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, announce_state
from app.services.runs import run_authority, run_lifecycle
from app.services.runs.run_authority import Intent, authorize_run
from app.services.runs.usage import reported_usage
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.views.queue_position import ATTEMPTS, IN_QUEUE
from app.services.views.runs import retrieve_run

# Keys that clients can neither set nor remove (contract 6.4): the run's authority, and facts that its worker needs.
PROTECTED_STATE = FACTS | {
    ACCEPTANCE,
    AUTHORSHIP,
    CREDENTIAL_SOURCE,
    SANDBOX_ENVIRONMENT,
    "sandbox_id",
    ATTEMPTS,
    *IN_QUEUE,
}
_CHECKED_AGAIN_SECONDS = 10
_STOPPED = "Stopped by user"
# Unless the task has a JSON Schema, the field of an output for the verdict, which no client can write (contract 18.6).
_VERDICT = "verification"
# The part of an output that stays when a client replaces it; SQL's NULL if there is none.
_KEPT_VERDICT = case(
    (Run.output[_VERDICT].is_not(None), func.jsonb_build_object(_VERDICT, Run.output[_VERDICT]))
)
_PLAIN_FIELDS = ("branch", "stage", "error_message")
# In bytes, checked after the write: if one is too large, the error rolls the write back.
_STATE_BYTES = func.octet_length(cast(Run.state, Text)).label("state_bytes")
_OUTPUT_BYTES = func.octet_length(cast(Run.output, Text)).label("output_bytes")


async def update_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: RunUpdateIn,
    clients: ServiceClients,
) -> RunOut:
    """Change the given fields of a run; of `output` and `state`, only the given entries. Raises StateRefused."""
    is_gated = body.status is RunStatus.QUEUED and bool(clients.gates)
    if is_gated and await _is_workers(session, caller, task_id, run_id):
        await run_authority.require_task_allowance(
            session, caller, task_id, gates=clients.gates, run_id=run_id
        )
    run = await run_authority.lock_run(session, caller, task_id, run_id)
    if _steers(body):
        await authorize_run(session, Intent.STEER, caller.user_id, run.holdings)
    if run.phase in DELIVERED and body.status not in (None, run.status):
        await verification_lifecycle.abandon(session, run_id, is_over=body.status in TERMINAL_STATUSES)
    changes = _read_changes(body)
    clears = body.given("output") and body.output is None
    if (clears or _VERDICT in (body.output or ())) and await _read_schema(session, task_id) is None:
        changes["output"] = _KEPT_VERDICT if clears else _merge_output(_without_verdict(body.output or {}))
    row = await write_columns(session, run_id, changes)
    # After the other columns, so that the state that followers get has all of the change.
    if body.status is None or not await run_lifecycle.set_status(
        session, run_id, body.status, by=caller.user_id, events=clients.events
    ):
        announce_state(session, clients.events, row)
    if body.status is RunStatus.QUEUED and run.dispatch_requested_at is not None:
        enqueue_run_after_commit(session, clients.queue, run_id)
    wake_run_worker_after_commit(session, clients.redis, run_id)
    return await retrieve_run(session, caller, task_id, run_id, store=clients.store)


async def _is_workers(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> bool:
    seen = select(Run.dispatch_requested_at).join(Task, Task.id == Run.task_id)
    return await session.scalar(seen.where(visible_run(caller, task_id, run_id))) is not None


def _steers(body: RunUpdateIn) -> bool:
    keys = {*(body.state or ()), *(body.state_remove_keys or ())}
    begins = body.status is not None and body.status not in TERMINAL_STATUSES
    return begins or body.given("branch") or not keys <= PROTECTED_STATE


async def write_columns(session: AsyncSession, run_id: UUID, values: dict[str, object]) -> RunState:
    sizes = [
        size if name in values else null().label(size.name)
        for name, size in (("state", _STATE_BYTES), ("output", _OUTPUT_BYTES))
    ]
    changed = update(Run).where(Run.id == run_id).values(values).returning(*STATE_COLUMNS, *sizes)
    ((run, state_bytes, output_bytes),) = await rows_of(session, changed, _Changed)
    if (state_bytes or 0) > RUN_STATE_BYTES:
        raise StateRefused(f"Run state exceeds the limit of {RUN_STATE_BYTES} bytes")
    if (output_bytes or 0) > RUN_OUTPUT_BYTES:
        raise StateRefused(f"Run output exceeds the limit of {RUN_OUTPUT_BYTES} bytes")
    return run


class _Changed(NamedTuple):
    run: RunState
    state_bytes: int | None
    output_bytes: int | None


async def cancel_run(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    body: CancelIn,
    clients: ServiceClients,
) -> tuple[RunOut, bool]:
    """Cancel a cloud run, or the checks of one that is over; return it, and whether it did. Raises StateRefused."""
    run = await run_authority.lock_run(session, caller, task_id, run_id)
    is_live = run.status not in TERMINAL_STATUSES
    if is_live and run.environment is not Environment.CLOUD:
        raise StateRefused("Only cloud runs can be cancelled via this endpoint")
    if run.has_open_attempt or run.phase in DELIVERED:
        await verification_lifecycle.abandon(session, run_id, is_over=True)
    if is_live:
        asked = dict(zip(CANCELLATION, (utcnow().isoformat(), "api", caller.user_id), strict=True))
        await run_lifecycle.set_status(
            session,
            run_id,
            RunStatus.CANCELLED,
            events=clients.events,
            by=caller.user_id,
            error_message=body.reason or _STOPPED,
            facts=Run.facts.op("||")(asked),
        )
    is_cancelled = is_live or run.has_open_attempt
    if is_cancelled:
        wake_run_worker_after_commit(session, clients.redis, run_id)
    return await retrieve_run(session, caller, task_id, run_id, store=clients.store), is_cancelled


async def cancel_checks(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, clients: ServiceClients
) -> bool:
    """Cancel a run whose work is being checked, or only the checks if the run is over; return False without checks."""
    run = await run_authority.lock_run(session, caller, task_id, run_id)
    if run.has_open_attempt:
        await cancel_run(session, caller, task_id, run_id, CancelIn(), clients)
    return run.has_open_attempt


def _read_changes(body: RunUpdateIn) -> dict[str, Any]:
    values: dict[str, object] = {"updated_at": utcnow()}
    values |= {name: getattr(body, name) for name in _PLAIN_FIELDS if body.given(name)}
    if body.given("output"):
        values["output"] = None if body.output is None else _merge_output(body.output)
    added = {key: value for key, value in (body.state or {}).items() if key not in PROTECTED_STATE}
    removed = [key for key in body.state_remove_keys or () if key not in PROTECTED_STATE]
    if added or removed:
        # A key that the request both removes and sets is set.
        values["state"] = Run.state.op("-")(cast(removed, ARRAY(Text))).op("||")(
            literal(added, Run.state.type)
        )
        if (usage := reported_usage(added)) is not None:
            values["facts"] = Run.facts.op("||")(usage)
    return values


def _merge_output(added: JsonDict) -> ColumnElement[Any]:
    is_object = func.jsonb_typeof(Run.output) == "object"
    new = literal(added, Run.output.type)
    return case((is_object, Run.output.op("||")(new)), else_=new)


async def set_output(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    run_id: UUID,
    output: object,
    clients: ServiceClients,
) -> RunOut:
    """Replace a run's output, if it satisfies the task's JSON Schema; return the run (contract 6.4, 13.11)."""
    await require_run(session, caller, task_id, run_id)
    schema = await _read_schema(session, task_id)
    if schema is not None:
        await release(session)
        try:
            await check_given(output, schema, project_id=caller.project.id)
        except QueueFull:
            raise Throttled(_CHECKED_AGAIN_SECONDS) from None
        except OutputInvalid as error:
            raise StateRefused(f"Output validation error: {error.message}") from error
        await require_run(session, caller, task_id, run_id)
    elif output is None:
        output = _KEPT_VERDICT
    elif isinstance(output, dict):
        kept = func.coalesce(_KEPT_VERDICT, literal({}, Run.output.type))
        output = literal(_without_verdict(output), Run.output.type).op("||")(kept)
    row = await write_columns(session, run_id, {"output": output, "updated_at": utcnow()})
    announce_state(session, clients.events, row)
    wake_run_worker_after_commit(session, clients.redis, run_id)
    return await retrieve_run(session, caller, task_id, run_id, store=clients.store)


async def _read_schema(session: AsyncSession, task_id: UUID) -> JsonDict | None:
    return await session.scalar(select(Task.json_schema).where(Task.id == task_id))


def _without_verdict(output: JsonDict) -> JsonDict:
    return {key: value for key, value in output.items() if key != _VERDICT}
