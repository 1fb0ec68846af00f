"""Build the JSON of a verification from the results of its checks (contract 18.6)."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from app.agents.check_execution.check_context import Checked
from app.clock import wire_time
from app.enums import BaseStatus, CaseOutcome, CheckCause, CheckGate, CheckStatus, Verdict, VerdictReason
from app.schemas.runs.verifications import (
    CaseOut,
    CheckCountsOut,
    CheckResultOut,
    ProgressOut,
    ReasonOut,
    ResultOut,
    VerdictOut,
    VerificationOut,
)
from app.services.check_sources.repository_scans import show_found
from app.verdicts.agent_claims import AgentClaim, judge_claim
from app.verdicts.definitions import Definitions, FoundCheck, PlacedCheck, command_of
from app.verdicts.judgement import (
    DOUBTS,
    Case,
    CheckResult,
    Facts,
    JudgedCheck,
    Judgement,
    Reason,
    judge,
    needs_execution,
)

_MOST_NAMED = 50
_LONGEST_COMMAND = 200
_OPEN_STATUSES = ("waiting", "running")

# A verification before its first attempt.
OPEN: VerificationOut = {
    "verdict": None,
    "reasons": [],
    "attempt": 0,
    "attempts": 0,
    "commit": None,
    "base": None,
    "started_at": None,
    "finished_at": None,
    "stopped": None,
    "waived": False,
    "waivers": [],
    "setup": [],
    "checks": [],
    "found": [],
    "claims": [],
    "changed_tests": [],
    "protected_changed": [],
    "ci": None,
}


def _show_end(judgement: Judgement) -> VerdictOut:
    reasons: list[ReasonOut] = [
        {"code": each.code, "check": each.check, "detail": each.detail} for each in judgement.reasons
    ]
    return {"verdict": judgement.verdict, "reasons": reasons, "finished_at": wire_time()}


def show_unchecked(
    facts: Facts,
    *,
    found: Iterable[FoundCheck],
    claims: Iterable[AgentClaim],
    files: Collection[str],
) -> VerificationOut:
    """Return the verification of a run without checks."""
    return {
        **OPEN,
        **_show_end(judge((), facts)),
        "finished_at": None,
        "found": [show_found(each) for each in found],
        "claims": [{**each, "judgement": judge_claim(each, {}, {}, files)} for each in claims],
    }


def show_first(
    commit: str, base: str | None, definitions: Definitions | None = None, claims: Iterable[AgentClaim] = ()
) -> VerificationOut:
    """Return the verification that an attempt shows while it waits for a worker."""
    return {
        **OPEN,
        "commit": commit,
        "base": base,
        "checks": [show_check(CheckResult(placed=each)) for each in definitions.checks]
        if definitions
        else [],
        "claims": [{**each, "judgement": Verdict.CLAIMED} for each in claims],
    }


def show_closed(judgement: Judgement, checks: Iterable[CheckResultOut]) -> dict[str, object]:
    """Return the changes that an attempt shows after a member has ended it: checks without a result are skipped."""
    return {**_show_end(judgement), "checks": _end_open(checks, CheckStatus.SKIPPED)}


def _end_open(
    checks: Iterable[CheckResultOut], status: CheckStatus, cause: CheckCause | None = None
) -> list[CheckResultOut]:
    return [
        {**check, "status": status, "cause": cause} if check["status"] in _OPEN_STATUSES else check
        for check in checks
    ]


def show_lost(checks: Iterable[CheckResultOut]) -> dict[str, object]:
    """Return the changes of an attempt whose workers were lost: an open check is our error, and proves nothing."""
    lost = _end_open(checks, CheckStatus.ERROR, CheckCause.WORKER)
    reasons = [*filter(None, map(_reason_without_base, lost))]
    refuting = [reason for reason in reasons if reason.code is VerdictReason.CHECK_FAILED]
    # There is no reason if no check was open: the worker was lost before its first report, or after its last check.
    reasons = refuting or reasons or [Reason(VerdictReason.CHECK_ERROR, detail=CheckCause.WORKER)]
    verdict = Verdict.REFUTED if refuting else Verdict.INCONCLUSIVE
    return {**_show_end(Judgement(verdict, tuple(reasons))), "checks": lost}


def _reason_without_base(check: CheckResultOut) -> Reason | None:
    code, detail = DOUBTS.get(check["status"]), check["cause"] or ""
    if check["status"] == CheckStatus.FAILED:
        is_strict = check["gate"] == CheckGate.STRICT
        code = VerdictReason.CHECK_FAILED if is_strict else VerdictReason.BASE_UNKNOWN
        detail = f"exit code {check['exit_code']}"
    is_gating = check["gate"] != CheckGate.INFORMATIONAL
    return Reason(code, check["id"], detail) if code is not None and is_gating else None


def show_progress(checked: Checked, running: PlacedCheck | None) -> ProgressOut:
    """Return the progress that an attempt shows while the check `running` is executed."""
    return {
        "checks": [
            show_check(found.result, None if needs_execution(found.result) else found, running=running)
            for found in checked.judge()
        ],
        "setup": [*checked.setup],
    }


def show_result(
    claims: Iterable[AgentClaim],
    checked: Checked,
    judged: Sequence[JudgedCheck],
    judgement: Judgement,
) -> ResultOut:
    statuses = {found.check.id: found.status for found in judged}
    commands = {found.check.run: found.check.id for found in judged if found.check.run}
    return {
        **_show_end(judgement),
        "claims": [
            {**each, "judgement": judge_claim(each, statuses, commands, checked.changed)} for each in claims
        ],
        "setup": [*checked.setup],
        "checks": [show_check(found.result, found) for found in judged],
        "found": [show_found(each) for each in checked.definitions.found],
        "changed_tests": checked.changed_tests[:_MOST_NAMED],
        "protected_changed": checked.protected_changed[:_MOST_NAMED],
    }


def show_check(
    checked: CheckResult, judged: JudgedCheck | None = None, *, running: PlacedCheck | None = None
) -> CheckResultOut:
    """Return the JSON of one check; `judged` is None while it waits or runs."""
    waits = "running" if checked.placed is running else "waiting"
    last = checked.executions[-1] if checked.executions else None
    hosts = {host for execution in checked.executions for host in execution.blocked_hosts}
    return {
        "id": checked.check.id,
        "command": command_of(checked.check)[:_LONGEST_COMMAND],
        "source": checked.placed.source,
        "gate": checked.check.gate,
        "status": judged.status if judged else waits,
        "cause": judged.cause if judged else None,
        "exit_code": last.exit_code if last else None,
        "duration_ms": last.duration_ms if last else None,
        "base": judged.base if judged else BaseStatus.NOT_RUN,
        "base_cached": checked.is_base_kept,
        "counts": count_cases(judged) if judged else None,
        "old_tests": _old_tests(checked),
        "old_tests_log_artifact_id": checked.old_tests.log if checked.old_tests else None,
        "new_failures": _named(judged.new) if judged else [],
        "removed_cases": _named(judged.removed) if judged else [],
        "blocked_hosts": sorted(hosts)[:_MOST_NAMED],
        "runs": [
            {"exit_code": each.exit_code, "duration_ms": each.duration_ms, "log_artifact_id": each.log}
            for each in checked.executions
        ],
        "log_artifact_id": last.log if last else None,
        "tail": last.tail if last else "",
    }


def count_cases(judged: JudgedCheck) -> CheckCountsOut | None:
    """Return the numbers of cases of the last execution; None without cases."""
    cases = judged.result.executions[-1].cases if judged.result.executions else None
    if not cases:
        return None
    numbers = Counter(cases.values())
    return {
        "passed": numbers[CaseOutcome.PASSED],
        "failed": numbers[CaseOutcome.FAILED],
        "skipped": numbers[CaseOutcome.SKIPPED],
        "new": len(judged.new),
        "fixed": len(judged.fixed),
        "removed": len(judged.removed),
    }


def _old_tests(checked: CheckResult) -> Literal["passed", "failed", "not_run"]:
    execution = checked.old_tests
    if execution is None or not execution.has_ended:
        return "not_run"
    return "failed" if execution.is_failing else "passed"


def _named(cases: Iterable[Case]) -> list[CaseOut]:
    first = sorted(cases)[:_MOST_NAMED]
    return [{"suite": case.suite, "class": case.class_name, "name": case.name} for case in first]
