"""Check sets, runs whose work is checked, and what the API shows of them, for tests."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import CheckGate, CheckStatus, RunStatus, Verdict
from app.ids import new_id
from app.models import CheckSet, Project, PushedBranch, Run, Task, Verification
from app.models.runs.run_transitions import DELIVERED, RunPhase
from app.schemas.checks.check_sets import DefinitionsIn, acceptance_of
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.shown_results import OPEN
from app.services.tasks.latest_run import mirror_verification
from app.verdicts.definitions import store_definitions, unite
from tests.support.factories import added, make_run
from tests.support.stand_ins.fakes import RecordingEvents

JSON = dict[str, Any]

COMMIT, BASE = "c" * 40, "b" * 40
OUTPUT: JSON = {"head_branch": "taskbeacon/tes-1", "head_sha": COMMIT}
CHECK: JSON = {
    "id": "tests",
    "source": "project",
    "gate": "regression",
    "status": "waiting",
    "cause": None,
    "exit_code": None,
    "duration_ms": None,
    "base": "not_run",
    "base_cached": False,
    "counts": None,
    "old_tests": "not_run",
    "new_failures": [],
    "removed_cases": [],
    "blocked_hosts": [],
    "runs": [],
    "log_artifact_id": None,
    "tail": "the end of its output",
}
# A step, a check and definitions as answers show them where nothing was given.
STEP_DEFAULTS: JSON = {
    "run": None,
    "shell": None,
    "cwd": "",
    "background": False,
    "ready": None,
    "timeout_seconds": 600,
    "cache": [],
    "cache_key": [],
}
CHECK_DEFAULTS: JSON = {
    "run": None,
    "shell": None,
    "cwd": "",
    "paths": [],
    "timeout_seconds": 600,
    "gate": "regression",
    "reports": [],
    "retries": 1,
    "expect_base": None,
}
DEFINITIONS_DEFAULTS: JSON = {
    "setup": [],
    "checks": [],
    "protected_paths": None,
    "test_paths": None,
    "checks_network": "none",
    "max_repairs": None,
    "on_unverified": "complete",
    "base": "auto",
}
_REFUTING = {CheckStatus.FAILED: "check_failed"}


async def make_check_set(
    session: AsyncSession, *, project: Project, repository: str | None = None, **definitions: Any
) -> CheckSet:
    """Make a check set; without definitions it checks nothing."""
    now = utcnow()
    return await added(
        session,
        CheckSet(
            id=new_id(),
            project_id=project.id,
            repository=repository,
            definition=acceptance_of(DefinitionsIn.model_validate({"checks": [], **definitions})),
            created_at=now,
            updated_at=now,
        ),
    )


def shown(attempt: int = 1, verdict: str | None = None, **more: Any) -> Any:  # a VerificationOut
    """Return an attempt with one check, as the API shows it."""
    numbers = {"attempt": attempt, "attempts": attempt, "commit": COMMIT, "base": BASE}
    return {**OPEN, **numbers, "verdict": verdict, "checks": [CHECK], **more}


def shown_check(number: int, status: CheckStatus, gate: CheckGate = CheckGate.STRICT) -> JSON:
    """Return a check that has ended, as the API shows it."""
    ended = {"status": status, "exit_code": int(status is CheckStatus.FAILED), "duration_ms": 1}
    return {**CHECK, "id": f"check-{number}", "gate": gate, **ended}


def shown_verdict(
    verdict: Verdict, *statuses: CheckStatus, reason: str | None = None, attempt: int = 1
) -> Any:  # a VerificationOut
    """Return a concluded attempt with strict checks of these statuses, and an informational one that failed."""
    checks = [shown_check(number, status) for number, status in enumerate(statuses, 1)]
    reasons = [
        {
            "code": _REFUTING.get(check["status"], f"check_{check['status']}"),
            "check": check["id"],
            "detail": "",
        }
        for check in checks
        if verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE) and check["status"] != CheckStatus.PASSED
    ]
    if reason is not None:
        reasons = [{"code": reason, "check": None, "detail": ""}]
    if attempt:
        checks.append(shown_check(0, CheckStatus.FAILED, CheckGate.INFORMATIONAL))
    return {
        **OPEN,
        "verdict": verdict,
        "reasons": reasons,
        "attempt": attempt,
        "attempts": attempt,
        "commit": COMMIT if attempt else None,
        "base": BASE if attempt else None,
        "checks": checks,
    }


async def make_attempt(session: AsyncSession, run: Run, result: Mapping[str, Any], **values: Any) -> None:
    """Make an attempt to check the work of a run, and show it as the run's verification."""
    is_open = result["verdict"] is None
    row: JSON = {
        "commit": COMMIT,
        "base": BASE,
        "delivery": {
            "output": OUTPUT,
            "has_schema": True,
            "state": {},
            "stage": "reviewing",
            "earlier": [],
        },
        "definitions": store_definitions(unite(())),
        "created_at": utcnow(),
        "finished_at": None if is_open else utcnow(),
    }
    attempt = Verification(run_id=run.id, attempt=result["attempt"], shown=result, **(row | values))
    _ = await added(session, attempt)
    light = {
        **result,
        "checks": [{k: v for k, v in each.items() if k != "tail"} for each in result["checks"]],
    }
    await session.execute(update(Run).where(Run.id == run.id).values(verification=light))
    await mirror_verification(session, run.id)


async def make_verified_run(
    session: AsyncSession, *, task: Task, verdict: str | None = None, delivers: bool = True, **values: Any
) -> Run:
    """Make a run with one attempt: one that waits for it if there is no verdict, else one that is over."""
    of_run = {"status": RunStatus.COMPLETED, "output": OUTPUT, "stage": "reviewing"}
    if verdict is None:
        of_run = {"status": RunStatus.IN_PROGRESS, "stage": "verifying"}
    run = await make_run(session, task=task, **(of_run | values))
    if delivers:
        await make_delivered_commit(session, run)
    await make_attempt(session, run, shown(verdict=verdict))
    return run


async def make_run_in(session: AsyncSession, phase: RunPhase, *, task: Task, owner: str = "job") -> Run:
    """Make a run in a phase; if a job holds it, `owner` does."""
    now = utcnow()
    queued: JSON = {"status": RunStatus.QUEUED, "dispatch_requested_at": now}
    held: JSON = {"status": RunStatus.IN_PROGRESS, "lease_owner": owner, "lease_expires_at": now}
    values: JSON = {
        RunPhase.NOT_STARTED: {"status": RunStatus.NOT_STARTED},
        RunPhase.QUEUED: queued,
        RunPhase.WORKING: held,
        RunPhase.OUTSIDE: {"status": RunStatus.IN_PROGRESS},
        RunPhase.CHECKING: {"output": None},
        RunPhase.REPAIR_QUEUED: queued | {"output": None, "completed_at": None},
        RunPhase.REPAIRING: held | {"output": None, "completed_at": None},
        RunPhase.OVER: {},
    }[phase]
    if phase not in DELIVERED and phase is not RunPhase.OVER:
        return await make_run(session, task=task, **values)
    verdict = None if phase is RunPhase.CHECKING else Verdict.REFUTED
    return await make_verified_run(session, task=task, verdict=verdict, **values)


async def make_delivered_commit(session: AsyncSession, run: Run) -> None:
    """Note that a run has pushed a commit."""
    pushed = PushedBranch(
        run_id=run.id,
        task_id=run.task_id,
        repository="acme/shop",
        branch="taskbeacon/tes-1",
        head_sha=COMMIT,
        base_sha=BASE,
        created_at=utcnow(),
    )
    _ = await added(session, pushed)


async def end_checked(sessions: SessionFactory, run: Run, result: Mapping[str, Any]) -> None:
    """Conclude the open attempt of a run as a worker does, with this result; a run that waits for it ends."""
    async with unit_of_work(sessions) as session:
        claimed = await verification_lifecycle.claim(session, owner="job")
    assert claimed is not None
    assert claimed.run_id == run.id
    conclusion = verification_lifecycle.Conclusion(shown=result)
    async with unit_of_work(sessions) as session:
        assert await verification_lifecycle.conclude(session, claimed, conclusion, events=RecordingEvents())
