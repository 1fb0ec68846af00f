"""Shows what was seen in an attempt as the API does (contract 18.6)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from app.agents.checks.check_context import Checked
from app.clock import wire_time
from app.enums import BaseStatus, CheckCause, CheckGate, CheckStatus, Verdict, VerdictReason
from app.schemas.runs.verifications import VerificationOut
from app.verification.agent_claims import AgentClaim, judge_claim
from app.verification.definitions import Check, Definitions, FoundCheck, PlacedCheck, command_of
from app.verification.judgement import (
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

_CHECK = TypeAdapter(Check)
_MOST_NAMED = 50
_LONGEST_COMMAND = 200
_OPEN_STATUSES = ("waiting", "running")

_LISTS = ("reasons", "waivers", "setup", "checks", "found", "claims", "changed_tests", "protected_changed")
# What a verification shows before anything was checked.
OPEN: Mapping[str, Any] = {
    **dict.fromkeys(VerificationOut.__annotations__),
    **{name: [] for name in _LISTS},
    "attempt": 0,
    "attempts": 0,
    "waived": False,
}


def show_end(judgement: Judgement, **more: Any) -> dict[str, Any]:
    """Return what an attempt shows once it has a verdict."""
    reasons = [reason._asdict() for reason in judgement.reasons]
    return {"verdict": judgement.verdict, "reasons": reasons, "finished_at": wire_time(), **more}


def show_unchecked(
    facts: Facts,
    *,
    found: Iterable[FoundCheck] = (),
    claims: Iterable[AgentClaim] = (),
    files: Collection[str] = (),
) -> dict[str, Any]:
    """Return the verification of a run without checks."""
    judged = [{**each, "judgement": judge_claim(each, {}, {}, files)} for each in claims]
    end = show_end(judge((), facts), found=[show_found(each) for each in found], claims=judged)
    return {**OPEN, **end, "finished_at": None}


def show_found(found: FoundCheck) -> dict[str, Any]:
    return {
        "check": _CHECK.dump_python(found.check, mode="json"),
        "origin": {"path": found.path, "key": found.key},
    }


def show_first(definitions: Definitions, claims: Iterable[AgentClaim]) -> dict[str, Any]:
    """Return what an attempt shows while it waits for a worker."""
    checks = [show_check(CheckResult(placed=placed)) for placed in definitions.checks]
    return {"checks": checks, "claims": [{**each, "judgement": Verdict.CLAIMED} for each in claims]}


def show_closed(judgement: Judgement, checks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what an attempt shows after a member has ended it: checks without a result are skipped."""
    return show_end(judgement, checks=_with_end(checks, status=CheckStatus.SKIPPED))


def _with_end(checks: Iterable[Mapping[str, Any]], **end: str) -> list[Mapping[str, Any]]:
    return [{**check, **end} if check["status"] in _OPEN_STATUSES else check for check in checks]


def show_lost(checks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what an attempt shows after its workers were lost: an open check is our error, and proves nothing."""
    lost = _with_end(checks, status=CheckStatus.ERROR, cause=CheckCause.WORKER)
    reasons = [*filter(None, map(_reason_without_base, lost))]
    if refuting := [reason for reason in reasons if reason.code is VerdictReason.CHECK_FAILED]:
        return show_end(Judgement(Verdict.REFUTED, tuple(refuting)), checks=lost)
    # No check is open if the worker was lost before its first note, or after its last check.
    reasons = reasons or [Reason(VerdictReason.CHECK_ERROR, detail=CheckCause.WORKER)]
    return show_end(Judgement(Verdict.INCONCLUSIVE, tuple(reasons)), checks=lost)


def _reason_without_base(check: Mapping[str, Any]) -> Reason | None:
    code, detail = DOUBTS.get(check["status"]), check["cause"] or ""
    if check["status"] == CheckStatus.FAILED:
        is_strict = check["gate"] == CheckGate.STRICT
        code = VerdictReason.CHECK_FAILED if is_strict else VerdictReason.BASE_UNKNOWN
        detail = f"exit code {check['exit_code']}"
    is_gating = check["gate"] != CheckGate.INFORMATIONAL
    return Reason(code, check["id"], detail) if code is not None and is_gating else None


def show_progress(checked: Checked, running: PlacedCheck | None) -> dict[str, Any]:
    """Return what an attempt shows while the check `running` is executed: ended checks have their status."""
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
) -> dict[str, Any]:
    statuses = {found.check.id: found.status for found in judged}
    commands = {found.check.run: found.check.id for found in judged if found.check.run}
    return show_end(
        judgement,
        claims=[
            {**each, "judgement": judge_claim(each, statuses, commands, checked.changed)} for each in claims
        ],
        setup=[*checked.setup],
        checks=[show_check(found.result, found) for found in judged],
        found=[show_found(each) for each in checked.definitions.found],
        changed_tests=checked.changed_tests[:_MOST_NAMED],
        protected_changed=checked.protected_changed[:_MOST_NAMED],
    )


def show_check(
    checked: CheckResult, judged: JudgedCheck | None = None, *, running: PlacedCheck | None = None
) -> dict[str, Any]:
    """Return one check as it is shown; `judged` is None while it waits or runs."""
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
        "counts": judged.counts if judged else None,
        "old_tests": _old_tests(checked),
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


def _old_tests(checked: CheckResult) -> str:
    execution = checked.old_tests
    if execution is None or not execution.has_ended:
        return "not_run"
    return "failed" if execution.is_failing else "passed"


def _named(cases: Iterable[Case]) -> list[dict[str, str]]:
    first = sorted(cases)[:_MOST_NAMED]
    return [{"suite": case.suite, "class": case.class_name, "name": case.name} for case in first]
