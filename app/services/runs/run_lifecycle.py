"""Change the status and the lease of runs, by the statements of `status_changes`. No other module may.

Every change is one conditional UPDATE. Where two transactions change the same run, the first to commit wins, and the
other one learns that it changed nothing:

    claim against claim        each job gets another run, in this project or another, or none; with a limit on the
                               runs of a project, the second claim counts the first
    finish against cancel      the first commit sets the status. The worker of a cancelled run still adds the results
                               of its agent, unless that corrected its work: artifacts, and an output if the run has
                               none
    finish against recovery    either the run has ended, even if its lease has lapsed; or it was queued again or failed
                               as lost, and the finish is refused
    heartbeat against recovery either the run keeps its job; or the job learns that it has lost the run
    start of an agent, or hand back, against recovery
                               likewise; a run whose agent has started fails at the next sweep
    sweep against anything     a sweep, such as the recovery, moves several runs. It never waits: a run that another
                               transaction has locked, or whose task it has locked, is left for the next sweep
    check against anything     a run in the phase `CHECKING` is in progress without a lease: only the end of its checks
                               or a person moves it
    repair against recovery    a run in the phase `REPAIRING` is recovered like another, but does not fail as lost: it
                               ends with what it has delivered
    silence against an end     the first commit sets the status
    reopen against claim       the reopened run is claimed after the commit, like a new run
    hand back against cancel   the run stays cancelled
    restart against worker     a PATCH to `queued` or `not_started` takes the run from its worker, as a cancel does: the
                               worker starts no agent, and changes nothing in the run's row later. An agent that it has
                               started ends within seconds, or with the lease if the worker cannot be reached. The next
                               claim does not wait for that, so two agents may act for that time
    restart against receipt    a command that the worker has not recorded as delivered goes to the next agent
    PATCH against PATCH        each locks the row first: both set their status in turn, unless the first is terminal
    start against start        one job, since its id is the run's id
    start against claim        the run is in progress, so the start is refused

The same statement updates the task's copy of its latest run's status. The new status is published to followers after
the commit (services/run_log/log_entries.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVarTuple, Unpack
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db.statements import Prepared, row_of, rows_of
from app.dialogue.storable_text import storable
from app.enums import TERMINAL_STATUSES, Environment, RunMode, RunReason, RunStatus
from app.errors import StateRefused
from app.ids import new_id
from app.json_types import JsonDict
from app.models import Run, RunLogState, Task
from app.models.base import constant
from app.models.runs.run import held_by, is_scheduled, was_held_by
from app.models.runs.run_facts import (
    AGENT_STARTED,
    CANCELLATION,
    CHANGES,
    FACTS,
    LEFT_OUT,
    LOSSES,
    NOT_STORED,
    RECOVERY,
    USAGE,
    USAGE_BEFORE,
    with_recovery,
    without_fact,
)
from app.models.runs.run_transitions import RunPhase, is_in
from app.schemas.runs.verifications import VerificationOut
from app.schemas.staged_artifacts import ArtifactOut
from app.services.artifacts.manifest import manifest_with
from app.services.events.ledger import publish_recorded
from app.services.events.run_ledger import record_artifacts
from app.services.retrying.policies import RUN_LEASE, RUN_LOSSES
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, announce_state
from app.services.runs import command_delivery, run_metrics
from app.services.runs.queue.claim_order import find_next_project, lock_claims
from app.services.runs.run_metrics import MovedRun
from app.services.runs.status_changes import (
    OpenedRun,
    RunChanges,
    claim_statement,
    open_statement,
    publish_status,
    transition,
)
from app.tracing.spans import current_traceparent

Columns = TypeVarTuple("Columns")

# The stage of a run whose work is being checked.
VERIFYING: Final = "verifying"
_BEFORE_START = frozenset({RunStatus.NOT_STARTED, RunStatus.QUEUED})

# The conditions under which a run that lost its worker is queued again.
_UNTOUCHED = (~Run.facts.has_key(AGENT_STARTED), LOSSES < RUN_LOSSES - 1)
_WORKER_LOST = "The worker of this run was lost, and the work of its agent with it. Start the run again."


class Claim(NamedTuple):
    """The right of one job to perform a run. `owner` is the unique name of the job, in the column `lease_owner`."""

    run_id: UUID
    task_id: UUID
    project_id: int
    owner: str
    attempt: int = 1
    asked_at: datetime | None = None
    traceparent: str | None = None

    @property
    def ref(self) -> RunRef:
        return RunRef(self.project_id, self.task_id, self.run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    task_id: UUID
    project_id: int
    environment: Environment
    state: JsonDict
    artifacts: Sequence[ArtifactOut] = ()
    sandbox_environment_id: UUID | None = None
    asked_by_id: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    encrypted_mcp_servers: str | None = None
    # When a worker is to be requested. Until then the run has not started.
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    status: RunStatus
    output: Any = None
    error_message: str | None = None
    reason: RunReason = RunReason.AGENT_ENDED
    artifacts: Sequence[ArtifactOut] = ()
    # Keys to set in the run's state; keys in `FACTS` are written as facts.
    state: Mapping[str, Any] = field(default_factory=dict)
    verification: VerificationOut | None = None
    # The stage that the run had before checks kept it.
    stage: str | None = None


async def open_run(session: AsyncSession, new: NewRun, *, dispatch: bool, events: RunEvents) -> UUID:
    """Create a run as the latest of its locked task (contract 13.1); `dispatch` requests a worker for it at once."""
    run_id, now = new_id(), utcnow()
    values = {f"new_{name}": getattr(new, name) for name in _GIVEN} | {
        "new_id": run_id,
        "new_branch": new.state.get("pr_base_branch"),
        "new_dispatch_requested_at": now if dispatch else None,
        "new_traceparent": current_traceparent(),
        "now": now,
    }
    opened = await (_SCHEDULE if new.scheduled_at else _OPEN).one(session, values)
    announce_state(session, events, opened.run, opened=True)
    await publish_recorded(session, [opened.recorded])
    return run_id


async def set_status(
    session: AsyncSession,
    run_id: UUID,
    status: RunStatus,
    *,
    events: RunEvents,
    by: int | None = None,
    **values: Unpack[RunChanges],
) -> bool:
    """Set the status that a client of the user `by` reports for a locked run (contract 13.2): its worker loses it.

    A run that gets a status before its start is performed again, as after `hand_back`; the caller puts a job on the
    queue if the run waits for a worker.
    Return whether the status was changed: False if the run had it already. Raises StateRefused.
    """
    this_run, reason = Run.id == run_id, RunReason.CLIENT
    if status not in TERMINAL_STATUSES:
        # The work of the next agent has not been checked yet.
        values["verification"] = None
    if status in _BEFORE_START:
        is_changed = await _restart(session, events, status, this_run, reason=reason, **values)
    else:
        values["facts"] = _without_figures(values.get("facts", Run.facts.expression))
        is_changed = bool(await transition(session, events, status, this_run, reason=reason, by=by, **values))
    if not is_changed:
        current = await session.scalar(select(Run.status).where(Run.id == run_id))
        if current != status:
            raise StateRefused(f"Run is already {current}")
    return is_changed


async def request_worker(session: AsyncSession, run_id: UUID, *, events: RunEvents) -> None:
    """Request a worker for a locked run (contract 13.1); one that waits keeps its position. The caller enqueues."""
    now = utcnow()
    request = RunChanges(
        dispatch_requested_at=func.coalesce(Run.dispatch_requested_at, now), traceparent=current_traceparent()
    )
    not_started = (Run.id == run_id, Run.status == RunStatus.NOT_STARTED)
    if not await transition(session, events, RunStatus.QUEUED, *not_started, **request):
        queued = (Run.id == run_id, Run.status == RunStatus.QUEUED)
        await session.execute(update(Run).where(*queued).values(**request, updated_at=now))


async def queue_scheduled(session: AsyncSession, *, most: int, events: RunEvents) -> tuple[list[UUID], int]:
    """Request workers for at most `most` scheduled runs whose time has come. The caller also puts jobs on the queue.

    Return the ids of the queued runs, and the number of runs that were found: a run of a deleted task is not queued,
    and loses its time. Rows that another transaction has locked are left for the next call.
    """
    now = utcnow()
    due = unlocked(select(Run.id, Task.deleted).where(is_scheduled(), Run.scheduled_at <= now))
    found = await rows_of(session, due.order_by(Run.scheduled_at).limit(most))
    if dropped := [run_id for run_id, is_deleted in found if is_deleted]:
        await session.execute(update(Run).where(Run.id.in_(dropped)).values(scheduled_at=None))
    begun = [run_id for run_id, is_deleted in found if not is_deleted]
    if begun:
        await transition(session, events, RunStatus.QUEUED, Run.id.in_(begun), dispatch_requested_at=now)
    return begun, len(found)


def unlocked(runs: Select[*Columns]) -> Select[*Columns]:
    """Return the SELECT that locks these runs with their tasks, without those that another transaction has locked."""
    # The tasks too: `transition` updates those of all moved runs in its own order, and could deadlock with a request
    # that has locked one.
    return runs.join(Task, Task.id == Run.task_id).with_for_update(key_share=True, skip_locked=True)


async def reopen(session: AsyncSession, run_id: UUID, *, events: RunEvents) -> None:
    """Queue a locked run again, whatever its status is. No other function moves a run out of a terminal status."""
    used = func.jsonb_strip_nulls(func.jsonb_build_object(USAGE_BEFORE, Run.facts[USAGE]))
    counted = case((Run.status.in_(TERMINAL_STATUSES), used), else_=literal({}, Run.facts.type))
    await transition(
        session,
        events,
        RunStatus.QUEUED,
        Run.id == run_id,
        is_forced=True,
        environment=Environment.CLOUD,
        dispatch_requested_at=utcnow(),
        traceparent=current_traceparent(),
        completed_at=None,
        error_message=None,
        attempts=0,
        started_at=None,
        verification=None,
        facts=without_fact(AGENT_STARTED, RECOVERY, NOT_STORED, LEFT_OUT, *CANCELLATION).op("||")(counted),
    )
    await command_delivery.conclude(session, run_id)


async def claim(session: AsyncSession, *, owner: str, events: RunEvents, limit: int = 0) -> Claim | None:
    """Claim the run that has waited longest in the project that is next, for the job that is named `owner`.

    Every waiting run has a job, and any job may claim any run. `owner` is a unique text that the job has made, and
    passes to the other functions as proof that it still holds the run. Return None if no run waits, or only runs of
    projects of which workers already perform `limit` runs; 0 stands for no limit.
    """
    now = utcnow()
    values = {"owner": owner, "now": now, "until": now + RUN_LEASE, "limit": limit}
    if limit:
        await lock_claims(session)
    claimed = await _CLAIM.first(session, values)
    # The last run of the project that was next has been claimed by another job, or cancelled: try the next project.
    while claimed is None and await find_next_project(session, limit) is not None:
        claimed = await _CLAIM.first(session, values)
    if claimed is None:
        return None
    publish_status(session, events, [claimed.run])
    await publish_recorded(session, [claimed.recorded])
    run_metrics.count_started(session, claimed)
    run, asked_at = claimed.run, claimed.dispatch_requested_at
    return Claim(
        run.id, run.task_id, claimed.project_id, owner, claimed.attempts, asked_at, claimed.traceparent
    )


async def find_claimed(session: AsyncSession, *, owner: str) -> Claim | None:
    return await _CLAIMED.first(session, {"asked_by": owner})


async def extend_lease(session: AsyncSession, run_id: UUID, *, owner: str) -> bool:
    """Extend the lease of job `owner` on a run; return False if the job has lost the run and must stop the agent."""
    values = {"run": run_id, "owner": owner, "until": utcnow() + RUN_LEASE}
    return await _EXTEND.first(session, values) is not None


async def mark_agent_started(session: AsyncSession, run_id: UUID, *, owner: str) -> bool:
    """Record that the agent of a run may act from now on; return False if the job `owner` has lost it, so must not.

    A run that loses its worker after this fails; before, it is queued again. A repeated call keeps the first time.
    """
    values = {"run": run_id, "owner": owner, "started": {AGENT_STARTED: utcnow().isoformat()}}
    return await _MARK_STARTED.first(session, values) is not None


async def await_checks(
    session: AsyncSession,
    run_id: UUID,
    *,
    artifacts: Sequence[ArtifactOut],
    owner: str,
    events: RunEvents,
) -> bool:
    """Release the claim of `owner` on a run whose work is to be checked (contract 18.3); False if it has no claim."""
    values = {"lease_owner": None, "lease_expires_at": None, "stage": VERIFYING, "updated_at": utcnow()}
    given_up = update(Run).where(*held_by(run_id, owner)).values(**values, artifacts=manifest_with(artifacts))
    runs = await rows_of(session, given_up.returning(*STATE_COLUMNS), RunState)
    for run in runs:
        announce_state(session, events, run)
        await record_artifacts(session, run_id, artifacts)
    return bool(runs)


async def queue_repair(session: AsyncSession, run_id: UUID, *, stage: str | None, events: RunEvents) -> None:
    """Queue a locked run whose work was refuted, with its commands over; the caller puts a job on the queue."""
    await transition(
        session,
        events,
        RunStatus.QUEUED,
        *held_by(run_id, None),
        reason=RunReason.REPAIR,
        facts=without_fact(AGENT_STARTED),
        stage=stage,
    )
    await command_delivery.conclude(session, run_id)


async def finish(
    session: AsyncSession, run_id: UUID, end: RunEnd, *, owner: str | None, events: RunEvents
) -> bool:
    """End a run that the job `owner` holds, or (None) one whose work was checked; return whether this has ended it.

    If the run was cancelled meanwhile, it stays cancelled and gets the results of its agent, unless the agent corrected
    its work. In texts from agents and servers, characters that the database cannot store are replaced.
    """
    assert end.status in TERMINAL_STATUSES
    output = storable(end.output)
    values: RunChanges = {"output": output, "error_message": storable(end.error_message)}
    if end.verification is not None:
        values["verification"] = storable(dict(end.verification))
    if owner is None:
        values["stage"] = end.stage
    if end.artifacts:
        values["artifacts"] = manifest_with(end.artifacts)
    values |= with_state(end.state)
    if await transition(session, events, end.status, *held_by(run_id, owner), reason=end.reason, **values):
        await record_artifacts(session, run_id, end.artifacts)
        return True
    remains: dict[str, object] = {"output": func.coalesce(Run.output, literal(output, Run.output.type))}
    remains |= {key: values[key] for key in ("artifacts", "state", "facts") if key in values}
    # If an earlier call was committed, but not acknowledged, the run has these artifacts already.
    brought = [Run.artifacts.contains([{"id": artifact["id"]}]) for artifact in end.artifacts]
    left = (
        update(Run)
        # A run that was cancelled in a repair keeps the work that it delivered, which its last verdict is about.
        .where(*was_held_by(run_id, owner), Run.verification.is_(None), not_(or_(false(), *brought)))
        .values(remains | {"updated_at": utcnow()})
        .returning(*STATE_COLUMNS)
    )
    for run in await rows_of(session, left, RunState):
        announce_state(session, events, run)
        await record_artifacts(session, run_id, end.artifacts)
    return False


def with_state(added: Mapping[str, object]) -> RunChanges:
    """Return the columns of a run that ends with this state and these facts, without the figures of its workspace."""
    state = storable(dict(added))
    facts = {name: state.pop(name) for name in FACTS & state.keys()}
    return {"state": Run.state.op("||")(state), "facts": without_fact(CHANGES).op("||")(facts)}


def _without_figures(facts: ColumnElement[JsonDict]) -> ColumnElement[JsonDict]:
    # A run that loses its worker loses the figures of its workspace, unless it has delivered.
    return case((is_in(RunPhase.WORKING), facts.op("-")(CHANGES)), else_=facts)


async def hand_back(session: AsyncSession, run_id: UUID, *, owner: str, events: RunEvents) -> bool:
    """Return a run to the queue because its worker is being stopped; return False if the job `owner` does not hold it.

    The run keeps its position in the queue. It is repeated also if its agent had started, unlike a run that has lost
    its worker: the worker knows that the agent has ended, and each deploy would fail all long runs otherwise (ADR 39).
    """
    return await _restart(
        session,
        events,
        RunStatus.QUEUED,
        *held_by(run_id, owner),
        reason=RunReason.WORKER_STOPPED,
        facts=with_recovery("queued again", RunReason.WORKER_STOPPED),
    )


async def _restart(
    session: AsyncSession,
    events: RunEvents,
    to: RunStatus,
    *conditions: ColumnElement[bool],
    reason: RunReason,
    **values: Unpack[RunChanges],
) -> bool:
    # The next agent starts from the beginning and gets the commands again (ADR 18). Until it starts, the loss of its
    # worker does not fail the run. Only the holder of the lease writes the fact; it is read before the move removes it.
    columns = select(Run.id, Run.facts.has_key(AGENT_STARTED), Run.state["mode"].astext).where(*conditions)
    if (found := await row_of(session, columns)) is None:
        return False
    run_id, had_agent, mode = found
    values["facts"] = _without_figures(values.get("facts", Run.facts.expression).op("-")(AGENT_STARTED))
    moved = await transition(session, events, to, *conditions, reason=reason, **values)
    if moved:
        is_interactive = mode == RunMode.INTERACTIVE
        await command_delivery.requeue(session, [run_id], had_agent=had_agent, is_interactive=is_interactive)
    return bool(moved)


def lost_repairs() -> Select[UUID, str | None]:
    """Return a SELECT of the runs that lost their worker in a repair that cannot be repeated, and of their jobs."""
    return select(Run.id, Run.lease_owner).where(
        *_lapsed(), is_in(RunPhase.REPAIRING), not_(and_(*_UNTOUCHED))
    )


def _lapsed() -> tuple[ColumnElement[bool], ...]:
    return (Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_expires_at <= utcnow())


def lapsed_runs() -> Select[UUID]:
    """Return a SELECT of the runs whose worker is lost, oldest loss first."""
    return select(Run.id).where(*_lapsed()).order_by(Run.lease_expires_at)


async def recover_lapsed(
    session: AsyncSession, run_ids: Sequence[UUID], *, events: RunEvents
) -> tuple[list[UUID], list[UUID]]:
    """Queue again or fail those of the runs with a lapsed lease, since their worker is lost.

    Return the ids of the queued runs and the ids of the failed runs. A run without a started agent is queued again,
    until it has lost `RUN_LOSSES` workers, and keeps its position in the queue. Any other run fails, since its agent
    may have acted already, and may still act. Claims that workers handed back do not count.
    """
    found = (await session.scalars(unlocked(lapsed_runs().where(Run.id.in_(run_ids))))).all()
    lapsed = (Run.id.in_(found), *_lapsed())
    again, given_up = (
        _without_figures(with_recovery(decision, RunReason.WORKER_LOST))
        for decision in ("queued again", "failed")
    )
    requeued = await transition(
        session, events, RunStatus.QUEUED, *lapsed, *_UNTOUCHED, reason=RunReason.WORKER_LOST, facts=again
    )
    if requeued:
        await command_delivery.requeue(session, [row.run.id for row in requeued], had_agent=False)
    failed = await transition(
        session,
        events,
        RunStatus.FAILED,
        *lapsed,
        # The ends of repairs are decided elsewhere (services/runs/verification_attempts/verification_lifecycle.py).
        is_in(RunPhase.WORKING),
        reason=RunReason.WORKER_LOST,
        error_message=_WORKER_LOST,
        facts=given_up,
    )
    if lost := len(requeued) + len(failed):
        run_metrics.count_lost_leases(session, lost)
    return [row.run.id for row in requeued], [row.run.id for row in failed]


def silent_runs(silence: timedelta) -> Select[UUID]:
    """Return a SELECT of the runs with an agent outside our workers that has reported nothing for `silence`."""
    heard_at = (
        select(RunLogState.heard_at).where(RunLogState.run_id == Run.id).correlate(Run).scalar_subquery()
    )
    since = utcnow() - silence
    # A run in the environment `local` may wait for its user for days, unless its client uses the route `event_stream`.
    is_silent = or_(heard_at <= since, and_(heard_at.is_(None), Run.environment == Environment.CLOUD))
    outside = select(Run.id).where(is_in(RunPhase.OUTSIDE), Run.updated_at <= since, is_silent)
    return outside.order_by(Run.updated_at)


async def fail_silent(
    session: AsyncSession, run_ids: Sequence[UUID], *, silence: timedelta, events: RunEvents
) -> list[UUID]:
    """Fail those of the runs whose agent is silent still; return their ids."""
    found = await session.scalars(unlocked(silent_runs(silence).where(Run.id.in_(run_ids))))
    failed = await transition(
        session,
        events,
        RunStatus.FAILED,
        Run.id.in_(found.all()),
        reason=RunReason.AGENT_SILENT,
        error_message=f"The agent of this run was silent for {silence.total_seconds():.0f} seconds.",
        facts=with_recovery("failed", RunReason.AGENT_SILENT),
    )
    return [row.run.id for row in failed]


_GIVEN = [field.name for field in fields(NewRun)]
_OPEN, _SCHEDULE = (
    Prepared(
        open_statement(status, [*_GIVEN, "id", "branch", "dispatch_requested_at", "traceparent"]), OpenedRun
    )
    for status in (RunStatus.QUEUED, RunStatus.NOT_STARTED)
)
_CLAIM = Prepared(claim_statement(), MovedRun)
_CLAIMED = Prepared(
    select(
        Run.id.label("run_id"),
        Run.task_id,
        Run.project_id,
        Run.lease_owner.label("owner"),
        Run.attempts.label("attempt"),
        Run.dispatch_requested_at.label("asked_at"),
        Run.traceparent,
    ).where(Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_owner == bindparam("asked_by")),
    Claim,
)
_HELD = held_by(bindparam("run", type_=Run.id.type), bindparam("owner", type_=Run.lease_owner.type))
_EXTEND = Prepared(update(Run).where(*_HELD).values(lease_expires_at=bindparam("until")).returning(Run.id))
_MARK_STARTED = Prepared(
    update(Run)
    .where(*_HELD)
    .values(facts=bindparam("started", type_=Run.facts.type).op("||")(Run.facts))
    .returning(Run.id)
)
