"""Start a follow-up run with the task's `ci_prompt` if a check of a pushed branch failed; at most three.

GitHub may report checks repeatedly and out of order, and several checks of one commit may fail together. Only the first
failure of a commit starts a run, and only while that commit is the task's latest push. There is no caller: the
follow-up run acts as the person of the run that it follows, if that person is still a member.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import after_commit, release
from app.db.statements import Prepared, row_of, rows_of
from app.enums import TERMINAL_STATUSES, Environment, QuestionKind, RunMode, RunStatus
from app.ids import new_id
from app.json_types import JsonDict
from app.models import CiFailure, Integration, PushedBranch, Run, Task
from app.models.base import literal_int
from app.models.runs.run_facts import CI_FOLLOW_UP, SANDBOX_ENVIRONMENT, with_fact
from app.schemas.github_webhook import WebhookOut
from app.services.access import usage_gates
from app.services.access.usage_gates import UsageGate
from app.services.enqueueing import enqueue_run_after_commit
from app.services.opened_clients import ServiceClients
from app.services.questions.question_lifecycle import withdraw
from app.services.run_log.log_entries import STATE_COLUMNS, RunState, announce_state
from app.services.runs import run_lifecycle, run_options
from app.services.runs.ci_reports import CiReport, is_from_others
from app.services.runs.run_authority import (
    HOLDINGS,
    Holdings,
    Intent,
    authorize_run,
    freeze_task,
    frozen_or_current,
    person_of,
)

MAX_FOLLOW_UPS: Final = 3
_DEFAULT_PROMPT = (
    "The check '{name}' failed for commit {sha} of the branch {branch}, which holds your work on this task. Find out "
    "why it fails, correct it, and run what the check runs before you are done."
)
_INTEGRATION = bindparam("integration_id", type_=PushedBranch.integration_id.type)

log = structlog.get_logger(__name__)


class _Push(NamedTuple):
    run_id: UUID
    task_id: UUID
    head_sha: str


class _Task(NamedTuple):
    id: UUID
    project_id: int
    latest_run_id: UUID
    latest_run_status: RunStatus | None


class _Previous(NamedTuple):
    state: JsonDict
    holdings: Holdings
    ci_prompt: str | None
    asked_ci_prompt: str | None


_LOCK_RUNS = Prepared(
    select(Run.id)
    .outerjoin(Task, Task.latest_run_id == Run.id)
    .where(or_(Run.id == bindparam("run_id"), Task.id == bindparam("task_id")))
    .order_by(Run.id)
    .with_for_update(of=Run, key_share=True)
)
_TASK = Prepared(
    select(Task.id, Task.project_id, Task.latest_run_id, Task.latest_run_status)
    .where(Task.id == bindparam("task_id"), ~Task.deleted, ~Task.archived)
    .with_for_update(key_share=True),
    _Task,
)
_PREVIOUS = Prepared(
    select(Run.state, *HOLDINGS, Task.ci_prompt, frozen_or_current(Task.ci_prompt).label("asked_ci_prompt"))
    .join(Task, Task.id == Run.task_id)
    .where(Run.id == bindparam("run_id")),
    _Previous,
)
# The newest push to a branch; with an integration, of those with it.
_PUSH = Prepared(
    select(PushedBranch.run_id, PushedBranch.task_id, PushedBranch.head_sha)
    .outerjoin(Integration, Integration.id == PushedBranch.integration_id)
    .where(
        is_from_others(bindparam("app_id", type_=Integration.app_id.type)),
        PushedBranch.repository == bindparam("repository"),
        PushedBranch.branch == bindparam("branch"),
        or_(_INTEGRATION.is_(None), PushedBranch.integration_id == _INTEGRATION),
    )
    .order_by(PushedBranch.created_at.desc())
    .limit(literal_int(1)),
    _Push,
)


async def require_follow_up_allowance(
    session: AsyncSession, check: CiReport, gates: Sequence[UsageGate]
) -> None:
    """Check that every usage gate allows the follow-up run. Commits what is done so far before it asks."""
    pushed = await _find_push(session, check) if gates else None
    if pushed is None or pushed.head_sha != check.head_sha:
        return
    followed = (
        select(Run.project_id, person_of()).join(Task, Task.id == Run.task_id).where(Run.id == pushed.run_id)
    )
    rests = (~Task.deleted, ~Task.archived, Task.latest_run_status.in_(TERMINAL_STATUSES))
    row = await row_of(session, followed.where(*rests))
    if row is None:
        return
    await release(session)
    project_id, person_id = row
    await usage_gates.ask_gates(gates, project_id=project_id, user_id=person_id)


async def follow_up(session: AsyncSession, check: CiReport, clients: ServiceClients) -> WebhookOut:
    """Start a follow-up run for a failed check, unless a rule forbids it; return the body of the webhook response."""
    pushed = await _find_push(session, check)
    if pushed is None or pushed.head_sha != check.head_sha:
        return ignore("No run pushed this commit, or a later one has moved the branch on.")
    # The locks make deliveries about one task take turns. Runs are locked before tasks, as in every transition.
    await _LOCK_RUNS.all(session, {"run_id": pushed.run_id, "task_id": pushed.task_id})
    task = await _TASK.first(session, {"task_id": pushed.task_id})
    if task is None:
        return ignore("The task is deleted or put away.")
    # Checked again under the lock: a run may have pushed and ended meanwhile.
    if task.latest_run_status not in TERMINAL_STATUSES or pushed != await _find_push(session, check):
        return ignore("A run of the task is under way.")
    return await _decide(session, check, pushed, task, clients)


def ignore(reason: str) -> WebhookOut:
    return {"status": "ignored", "reason": reason, "run": None}


async def _decide(
    session: AsyncSession, check: CiReport, pushed: _Push, task: _Task, clients: ServiceClients
) -> WebhookOut:
    count = await session.scalar(
        select(func.count())
        .select_from(CiFailure)
        .where(
            CiFailure.task_id == task.id,
            CiFailure.branch == check.branch,
            CiFailure.follow_up_run_id.is_not(None),
        )
    )
    number = (count or 0) + 1
    follow_up = {"number": number, "limit": MAX_FOLLOW_UPS, "check": check.name, "head_sha": check.head_sha}
    if number > MAX_FOLLOW_UPS:
        reason = f"The branch had {MAX_FOLLOW_UPS} follow-up runs already."
        noted = with_fact(CI_FOLLOW_UP, {**follow_up, "number": MAX_FOLLOW_UPS, "refused": reason})
        change = update(Run).where(Run.id == pushed.run_id).values(facts=noted, updated_at=utcnow())
        for run in await rows_of(session, change.returning(*STATE_COLUMNS), RunState):
            announce_state(session, clients.events, run)
        return ignore(reason)
    failure = await session.scalar(
        upsert(CiFailure)
        .values(
            id=new_id(), task_id=task.id, branch=check.branch, head_sha=check.head_sha, created_at=utcnow()
        )
        .on_conflict_do_nothing()
        .returning(CiFailure.id)
    )
    if failure is None:
        return ignore("Another failure of this commit has been acted upon.")
    run_id = await _start(session, check, pushed.run_id, task, follow_up, clients)
    await session.execute(update(CiFailure).where(CiFailure.id == failure).values(follow_up_run_id=run_id))
    after_commit(session, partial(log.info, "webhook.follow_up", run_id=str(run_id), number=number))
    return {"status": "started", "reason": f"Follow-up run {number} of {MAX_FOLLOW_UPS}.", "run": run_id}


async def _find_push(session: AsyncSession, check: CiReport) -> _Push | None:
    names = ("repository", "branch", "integration_id", "app_id")
    return await _PUSH.first(session, {name: getattr(check, name) for name in names})


async def _start(
    session: AsyncSession,
    check: CiReport,
    previous_id: UUID,
    task: _Task,
    follow_up: JsonDict,
    clients: ServiceClients,
) -> UUID:
    previous = await _PREVIOUS.one(session, {"run_id": previous_id})
    person_id = previous.holdings.person_id
    authority = await authorize_run(session, Intent.FOLLOW, person_id, previous.holdings)
    own_prompt = previous.asked_ci_prompt if authority.is_personal else previous.ci_prompt
    prompt = own_prompt or _DEFAULT_PROMPT.format(name=check.name, sha=check.head_sha, branch=check.branch)
    # Like a request with only these fields (contract 9.2).
    state = run_options.inherited_state(previous.state)
    state.pop(SANDBOX_ENVIRONMENT, None)
    state |= {
        "mode": RunMode.BACKGROUND,
        "resume_from_run_id": str(previous_id),
        "pending_user_message": prompt,
    }
    if isinstance(previous.state.get("provider"), str):
        state["provider"] = previous.state["provider"]
    state |= authority.state
    new = run_lifecycle.NewRun(
        task_id=task.id,
        project_id=task.project_id,
        environment=Environment.CLOUD,
        state=state,
        facts={CI_FOLLOW_UP: follow_up},
        sandbox_environment_id=authority.environment_id,
        asked_by_id=authority.asker_id,
    )
    await withdraw(session, [task.latest_run_id], kind=QuestionKind.VERDICT)
    run_id = await run_lifecycle.open_run(session, new, dispatch=True, events=clients.events)
    if authority.is_personal:
        await freeze_task(session, run_id, task.id, previous_id=previous_id)
    enqueue_run_after_commit(session, clients.queue, run_id)
    return run_id
