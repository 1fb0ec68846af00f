"""Build and run the statements that create runs and move them between statuses, with their events."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import structlog
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Interval,
    Select,
    Text,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clients.live_events.run_event_publisher import RunEvents
from app.clock import utcnow
from app.db import after_commit
from app.db.statements import rows_of
from app.enums import TERMINAL_STATUSES, Environment, EventType, NotificationKind, RunReason, RunStatus
from app.json_types import JsonDict
from app.models import Project, Run, Task
from app.models.runs.run import is_waiting
from app.models.runs.run_facts import AGENT_ENDED, WAITING_FOR, without_fact
from app.models.runs.run_transitions import TRANSITIONS
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.runs.verifications import VerificationOut
from app.services.events.ledger import (
    NO_EVENT,
    Recorded,
    as_data,
    insert_event_cte,
    publish_recorded,
    recorded_columns,
)
from app.services.notifications import push_recipients
from app.services.questions import question_lifecycle
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, announce_entries, announce_state
from app.services.runs import command_delivery, run_credentials, run_metrics
from app.services.runs.queue.claim_order import longest_waiting, next_project
from app.services.runs.run_metrics import MovedRun
from app.services.tasks.latest_run import COPIED, copies_of, mirror_moved, mirror_opened
from app.services.views.queue_position import position

# The event that reports each new status; a recovered run has RUN_RECOVERED instead of RUN_QUEUED.
EVENT_OF: Mapping[RunStatus, EventType] = {
    RunStatus.QUEUED: EventType.RUN_QUEUED,
    RunStatus.IN_PROGRESS: EventType.RUN_STARTED,
    RunStatus.COMPLETED: EventType.RUN_COMPLETED,
    RunStatus.FAILED: EventType.RUN_FAILED,
    RunStatus.CANCELLED: EventType.RUN_CANCELLED,
}
# Reasons for which a claimed run returns to the queue.
_RECOVERIES = frozenset({RunReason.WORKER_LOST, RunReason.WORKER_STOPPED})
# A column for the event, which the statement does not return.
_VERDICT = "verdict"
_WITH_VERDICT = frozenset({EventType.RUN_COMPLETED, EventType.RUN_FAILED})
_WITH_ATTEMPT = frozenset({EventType.RUN_STARTED, EventType.RUN_RECOVERED})
_WAITS = frozenset({EventType.RUN_QUEUED, EventType.RUN_RECOVERED})

log = structlog.get_logger(__name__)


class RunChanges(TypedDict, total=False):
    """Columns of a run that change with its status; `transition` writes those that follow from the status itself."""

    artifacts: ColumnElement[list[ManifestEntry]]
    attempts: int | ColumnElement[int]
    completed_at: None
    dispatch_requested_at: datetime | ColumnElement[datetime]
    environment: Environment
    error_message: str | None
    facts: ColumnElement[JsonDict]
    lease_expires_at: ColumnElement[datetime]
    lease_owner: ColumnElement[str]
    output: object
    stage: str | None
    started_at: None
    state: ColumnElement[JsonDict]
    traceparent: str | None
    verification: VerificationOut | None


class OpenedRun(NamedTuple):
    run: RunState
    recorded: Recorded | None


async def transition(
    session: AsyncSession,
    events: RunEvents,
    to: RunStatus,
    *conditions: ColumnElement[bool],
    reason: RunReason | None = None,
    by: int | None = None,
    is_forced: bool = False,
    **values: Unpack[RunChanges],
) -> Sequence[MovedRun]:
    """Move the runs that satisfy `conditions` to the status `to`; return the moved runs.

    A run is not moved if `to` may not follow its current status, unless this is forced. For the moved runs, events are
    recorded and published, and people are notified of an end. `reason` says why the run ends or returns to the queue,
    for metrics and the event. `by` is the user whose request moves them, if it is one.
    """
    ends_for = None
    if to in TERMINAL_STATUSES and (ends_for := reason) is None:
        raise ValueError(f"a run cannot become {to.value} without a reason")
    if not is_forced:
        sources = [status for status in RunStatus if to in TRANSITIONS[status]]
        conditions = (Run.status.in_(sources), *conditions)
    is_recovery = to is RunStatus.QUEUED and reason in _RECOVERIES
    event = EventType.RUN_RECOVERED if is_recovery else EVENT_OF.get(to)
    statement = move_statement(to, *conditions, now=utcnow(), event=event, reason=reason, by=by, **values)
    rows = await rows_of(session, statement, MovedRun)
    if not rows:
        return rows
    ids = [row.run.id for row in rows]
    if to is not RunStatus.IN_PROGRESS:
        await question_lifecycle.withdraw(session, ids)
    if ends_for is not None:
        # Published before the final state, at which followers leave.
        dropped = await command_delivery.drop_open(session, ids, reason=f"The run is {to.value}.")
        announce_entries(session, events, dropped)
    publish_status(session, events, [row.run for row in rows])
    if ends_for is not None:
        run_metrics.count_ended(session, rows, ends_for)
        await run_credentials.forget_tokens(session, ids)
        await push_recipients.notify_people(session, NotificationKind(to.value), ids)
    await publish_recorded(session, [row.recorded for row in rows])
    return rows


def publish_status(session: AsyncSession, events: RunEvents, runs: Sequence[RunState]) -> None:
    """Publish the new status of these runs to their followers, once the transaction is committed."""
    for run in runs:
        changed = partial(log.info, "run.status_changed", run_id=str(run.id), status=str(run.status))
        after_commit(session, changed)
        announce_state(session, events, run)


def open_statement(status: RunStatus, names: Sequence[str]) -> Select[Any]:
    """Return the statement that creates a run as its task's latest from parameters `new_…`, and records its event."""
    columns = {name: bindparam(f"new_{name}", type_=Run.__table__.c[name].type) for name in names}
    event = EVENT_OF.get(status)
    now = bindparam("now", type_=Run.created_at.type)
    # Later than the previous run, so that the times have the order of the requests, even if clocks are read in the same
    # microsecond or differ a little (contract 9.4).
    just_later = (
        select(Run.created_at + literal_column("interval '1 microsecond'", Interval()))
        .join(Task, Task.latest_run_id == Run.id)
        .where(Task.id == columns["task_id"])
    )
    created_at = func.greatest(now, just_later.scalar_subquery())
    opened = (
        insert(Run)
        .values(
            **columns,
            status=status,
            created_at=created_at,
            updated_at=created_at,
            event_count=int(event is not None),
        )
        .returning(*STATE_COLUMNS, Run.project_id, Run.attempts, Run.event_count, Run.dispatch_requested_at)
        .cte("opened")
    )
    mirrored = mirror_opened(opened, has_event=event is not None)
    state = [opened.c[name] for name in RunState._fields]
    if event is None:
        return select(*state, *NO_EVENT).add_cte(mirrored)
    recorded = record_status(opened, event)
    return select(*state, *recorded_columns(recorded)).join(recorded, true()).add_cte(mirrored)


def move_statement(
    to: RunStatus,
    *conditions: ColumnElement[bool],
    now: Any,
    event: EventType | None,
    reason: RunReason | None = None,
    by: int | None = None,
    beside: Callable[[CTE], CTE] | None = None,
    **values: Unpack[RunChanges],
) -> Select[Any]:
    """Return the statement that moves runs and records `event` for each; `beside` makes another CTE of their rows."""
    moved = (
        update(Run)
        .where(*conditions)
        .values(_moved_values(to, now, event, values))
        .returning(
            *STATE_COLUMNS,
            Run.project_id,
            Run.facts,
            Run.attempts,
            Run.created_at,
            Run.dispatch_requested_at,
            Run.started_at,
            Run.event_count,
            Run.traceparent,
            Run.verification["verdict"].astext.label(_VERDICT),
            *(value.label(name) for name, value in copies_of(Run.verification).items()),
        )
        .cte("moved")
    )
    has_started = moved.c.started_at == moved.c.updated_at
    condition = has_started if to is RunStatus.IN_PROGRESS else literal(event is not None)
    effects = [mirror_moved(moved, to, condition, by), *([beside(moved)] if beside else [])]
    columns = [column for column in moved.c if column.name not in {_VERDICT, "created_at", *COPIED}]
    if event is None:
        return select(*columns, *NO_EVENT).add_cte(*effects)
    recorded = record_status(moved, event, condition, reason=reason)
    return (
        select(*columns, *recorded_columns(recorded))
        .outerjoin(recorded, recorded.c.run_id == moved.c.id)
        .add_cte(*effects)
    )


def claim_statement() -> Select[Any]:
    """Return the statement that claims the run that has waited longest in the project that is next."""
    # A waiting run is queued, so this transition is allowed.
    assert RunStatus.IN_PROGRESS in TRANSITIONS[RunStatus.QUEUED]
    now = bindparam("now", type_=Run.updated_at.type)
    project_id = next_project(bindparam("limit", type_=BigInteger()))

    def note_claim(moved: CTE) -> CTE:
        noted = update(Project).where(Project.id == moved.c.project_id).values(claimed_at=now)
        return noted.returning(Project.id).cte("noted")

    return move_statement(
        RunStatus.IN_PROGRESS,
        Run.id == longest_waiting(project_id),
        is_waiting(),
        now=now,
        event=EVENT_OF[RunStatus.IN_PROGRESS],
        beside=note_claim,
        lease_owner=bindparam("owner", type_=Run.lease_owner.type),
        lease_expires_at=bindparam("until", type_=Run.lease_expires_at.type),
        attempts=Run.attempts + 1,
        # This fact is about the agent of the previous claim.
        facts=without_fact(AGENT_ENDED),
    )


def _moved_values(
    to: RunStatus, now: object, event: EventType | None, changes: RunChanges
) -> dict[str, object]:
    values = {**changes, "status": to, "updated_at": now, "event_count": Run.event_count + 1}
    if to is RunStatus.IN_PROGRESS:
        is_first = case((Run.started_at.is_(None), 1), else_=0)
        values |= {
            "started_at": func.coalesce(Run.started_at, now),
            "event_count": Run.event_count + is_first,
        }
    if event is None:
        values["event_count"] = Run.event_count
    if to in TERMINAL_STATUSES:
        values["completed_at"] = func.coalesce(Run.completed_at, now)
        values["encrypted_mcp_servers"] = None
    if to is RunStatus.CANCELLED:
        values["cancelled_owner"] = func.coalesce(Run.lease_owner, "")
    if to is not RunStatus.IN_PROGRESS:
        values |= {"lease_owner": None, "lease_expires_at": None}
        values["facts"] = changes.get("facts", Run.facts).op("-")(WAITING_FOR)
    return values


def record_status(
    runs: CTE, event: EventType, *conditions: ColumnElement[bool], reason: RunReason | None = None
) -> CTE:
    """Return a CTE that records an event about the new status of each row of `runs` that meets `conditions`."""
    error_type = literal(reason.error_type, Text()) if event is EventType.RUN_FAILED and reason else null()
    data = as_data(
        status=runs.c.status,
        attempt=runs.c.attempts if event in _WITH_ATTEMPT else null(),
        queue_position=position(aliased(Run, runs)) if event in _WAITS else null(),
        error_type=error_type,
        verdict=runs.c[_VERDICT] if event in _WITH_VERDICT else null(),
    )
    return insert_event_cte(
        runs,
        event,
        *conditions,
        project_id=runs.c.project_id,
        task_id=runs.c.task_id,
        run_id=runs.c.id,
        subject_seq=runs.c.event_count,
        occurred_at=runs.c.updated_at,
        data=data,
    )
