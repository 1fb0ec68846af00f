"""Requests of members about the verification of a run: list its attempts, repeat, waive or skip it (contract 18.6)."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import wire_time
from app.db.statements import row_of, rows_of
from app.enums import TERMINAL_STATUSES, Environment, QuestionKind
from app.errors import StateRefused
from app.models import PushedBranch, User, Verification
from app.models.runs.run_transitions import RunPhase
from app.schemas.runs.verifications import VerificationOut, VerificationsOut, VerifyOut, WaiveIn
from app.services.access.principal import Principal
from app.services.access.visibility import require_run
from app.services.enqueueing import enqueue_verification_after_commit, wake_run_worker_after_commit
from app.services.opened_clients import ServiceClients
from app.services.questions.question_lifecycle import withdraw
from app.services.runs.run_authority import Intent, LockedRun, authorize_run, lock_run
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.views.users import Creator, user_basic

_USER = [getattr(User, name) for name in Creator._fields]
_MOST_LISTED = 50


class _Shown(NamedTuple):
    shown: VerificationOut


async def list_attempts(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID
) -> VerificationsOut:
    """Return the newest attempts to check the work of a run that the caller sees, newest first."""
    await require_run(session, caller, task_id, run_id)
    newest_first = (
        select(Verification.shown)
        .where(Verification.run_id == run_id)
        .order_by(Verification.attempt.desc())
        .limit(_MOST_LISTED)
    )
    attempts = [shown for (shown,) in await rows_of(session, newest_first, _Shown)]
    # The number of the newest attempt is their count.
    return {"count": attempts[0]["attempt"] if attempts else 0, "results": attempts}


async def verify_again(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, clients: ServiceClients
) -> VerifyOut:
    """Open another attempt to check what a run delivered, or join the open one. Raises StateRefused."""
    run = await _lock_to_steer(session, caller, task_id, run_id)
    if run.has_open_attempt:
        assert run.verification is not None
        return {"attempt": run.verification["attempt"]}
    commits = select(PushedBranch.head_sha, PushedBranch.base_sha).where(PushedBranch.run_id == run_id)
    pushed = await row_of(session, commits)
    is_over = run.status in TERMINAL_STATUSES and run.environment is Environment.CLOUD
    if not is_over or pushed is None:
        raise StateRefused("This run has no result to verify")
    attempt = await verification_lifecycle.reopen(session, run_id, *pushed)
    enqueue_verification_after_commit(session, clients.queue, run_id, attempt)
    return {"attempt": attempt}


async def waive(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, body: WaiveIn
) -> VerificationOut:
    """Accept the work of a run that is not verified, and return the verification; raises StateRefused."""
    run = await lock_run(session, caller, task_id, run_id)
    shown = run.verification
    if shown is None or shown["verdict"] not in verification_lifecycle.UNVERIFIED:
        raise StateRefused("Nothing to waive")
    if not shown["waived"]:
        creators = await rows_of(session, select(*_USER).where(User.id == caller.user_id), Creator)
        # Stored as JSON, so that runs are shown without a query for the user.
        user = {**user_basic(creators[0]), "uuid": str(creators[0].uuid)}
        waiver = {"reason": body.reason, "user": user, "at": wire_time()}
        shown = await verification_lifecycle.note_waiver(session, run_id, shown, waiver)
        await withdraw(session, [run_id], kind=QuestionKind.VERDICT)
    return shown


async def skip(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, clients: ServiceClients
) -> None:
    """End the verification of a run that waits for it, and so complete the run. Raises StateRefused."""
    run = await _lock_to_steer(session, caller, task_id, run_id)
    if run.phase is not RunPhase.CHECKING:
        raise StateRefused("This run is not being verified")
    await verification_lifecycle.skip(session, run_id, events=clients.events)
    wake_run_worker_after_commit(session, clients.redis, run_id)


async def _lock_to_steer(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> LockedRun:
    run = await lock_run(session, caller, task_id, run_id)
    await authorize_run(session, Intent.STEER, caller.user_id, run.holdings)
    return run
