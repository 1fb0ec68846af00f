"""Shows what was seen in an attempt as the API does (contract 18.6)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from app.agents.checks.context import Checked, CheckedCheck, PerformedStep
from app.clock import wire_time
from app.enums import BaseStatus, CheckCause, CheckGate, CheckStatus, Verdict, VerdictReason
from app.verification.claims import AgentClaim, judge_claim
from app.verification.definitions import Check, Definitions, FoundCheck
from app.verification.judgement import (
    Case,
    CheckResult,
    Facts,
    JudgedCheck,
    Judgement,
    Reason,
    judge,
    judge_check,
)

_CHECK, _CLAIM = TypeAdapter(Check), TypeAdapter(AgentClaim)
_MOST_NAMED = 50
_MOST_HOSTS = 50
_OPEN_STATUSES = ("waiting", "running")

# What a verification shows before anything was checked.
OPEN: Mapping[str, Any] = {
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


def shown_unchecked(
    *,
    has_repository: bool,
    has_work: bool,
    found: Iterable[FoundCheck] = (),
    claims: Iterable[AgentClaim] = (),
    files: Collection[str] = (),
) -> dict[str, Any]:
    """Return the verification of a run whose work nothing is to check."""
    facts = Facts(has_repository=has_repository, has_changes=has_work)
    judgement = judge((), facts)
    return {
        **OPEN,
        "verdict": judgement.verdict,
        "reasons": [_reason(each) for each in judgement.reasons],
        "found": [show_found(each) for each in found],
        "claims": [_claim(each, judge_claim(each, {}, {}, files)) for each in claims],
    }


def _claim(claim: AgentClaim, judgement: Verdict) -> dict[str, Any]:
    return {**_CLAIM.dump_python(claim, mode="json"), "judgement": judgement}


def show_found(found: FoundCheck) -> dict[str, Any]:
    """Return a check that a repository suggests as it is shown."""
    return {
        "check": _CHECK.dump_python(found.check, mode="json"),
        "origin": {"path": found.path, "key": found.key},
    }


def shown_at_first(definitions: Definitions, claims: Iterable[AgentClaim] = ()) -> dict[str, Any]:
    """Return an attempt that waits."""
    checks = [CheckedCheck(placed=placed) for placed in definitions.checks]
    return {
        **OPEN,
        "checks": [show_check(each, None, ()) for each in checks],
        "claims": [_claim(each, Verdict.CLAIMED) for each in claims],
    }


def shown_lost(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attempt that has lost its workers: what is open is an error of ours, which proves nothing."""
    checks = [
        {**check, "status": CheckStatus.ERROR, "cause": CheckCause.WORKER}
        if check["status"] in _OPEN_STATUSES
        else check
        for check in before["checks"]
    ]
    return {
        **before,
        "verdict": Verdict.INCONCLUSIVE,
        "reasons": [
            {"code": VerdictReason.CHECK_ERROR, "check": check["id"], "detail": CheckCause.WORKER}
            for check in checks
            if check["cause"] is CheckCause.WORKER and check["gate"] != CheckGate.INFORMATIONAL
        ],
        "finished_at": wire_time(),
        "checks": checks,
    }


def judged_checks(checked: Checked) -> list[JudgedCheck]:
    """Return the checks of an attempt, each with its status."""
    is_tampered = bool(checked.protected_changed)
    return [
        judge_check(
            CheckResult(
                check=each.placed.check,
                executions=[performed.execution for performed in each.executions],
                base=each.base,
            ),
            is_tampered=is_tampered,
        )
        for each in checked.checks
    ]


def shown_progress(before: Mapping[str, Any], checked: Checked, running: str | None) -> dict[str, Any]:
    """Return an open attempt as it is shown: `running` is the id of the check that is executed."""
    checks = [
        {**show_check(each, None, ()), "status": "running" if each.placed.check.id == running else "waiting"}
        for each in checked.checks
    ]
    return {**before, "checks": checks, "setup": [_step(step) for step in checked.setup]}


def shown_result(
    before: Mapping[str, Any],
    checked: Checked,
    judged: Sequence[JudgedCheck],
    judgement: Judgement,
    logs: Mapping[tuple[str, int], str],
) -> dict[str, Any]:
    """Return a finished attempt as it is shown; `logs` are ids of files, by check and number of the execution."""
    statuses = {
        each.placed.check.id: found.status for each, found in zip(checked.checks, judged, strict=True)
    }
    commands = {
        each.placed.check.run: each.placed.check.id for each in checked.checks if each.placed.check.run
    }
    claims = [_CLAIM.validate_python(each) for each in before["claims"]]
    return {
        **before,
        "verdict": judgement.verdict,
        "reasons": [_reason(each) for each in judgement.reasons],
        "claims": [_claim(each, judge_claim(each, statuses, commands, checked.changed)) for each in claims],
        "finished_at": wire_time(),
        "setup": [_step(step) for step in checked.setup],
        "checks": [
            show_check(
                each, found, [logs.get((each.placed.check.id, n)) for n in range(len(each.executions))]
            )
            for each, found in zip(checked.checks, judged, strict=True)
        ],
        "found": [show_found(each) for each in checked.definitions.found],
        "changed_tests": checked.changed_tests[:_MOST_NAMED],
        "protected_changed": checked.protected_changed[:_MOST_NAMED],
    }


def show_check(
    checked: CheckedCheck, judged: JudgedCheck | None, logs: Sequence[str | None]
) -> dict[str, Any]:
    """Return a check as it is shown; `judged` is None while it waits or runs."""
    last = checked.executions[-1] if checked.executions else None
    hosts = {host for performed in checked.executions for host in performed.execution.blocked_hosts}
    return {
        "id": checked.placed.check.id,
        "source": checked.placed.source,
        "gate": checked.placed.check.gate,
        "status": judged.status if judged else "waiting",
        "cause": judged.cause if judged else None,
        "exit_code": last.execution.exit_code if last else None,
        "duration_ms": last.duration_ms if last else None,
        "base": judged.base if judged else BaseStatus.NOT_RUN,
        "base_cached": checked.is_base_kept,
        "counts": judged.counts if judged else None,
        "old_tests": _old_tests(checked),
        "new_failures": _named(judged.new) if judged else [],
        "removed_cases": _named(judged.removed) if judged else [],
        "blocked_hosts": sorted(hosts)[:_MOST_HOSTS],
        "runs": [
            {
                "exit_code": performed.execution.exit_code,
                "duration_ms": performed.duration_ms,
                "log_artifact_id": log,
            }
            for performed, log in zip(checked.executions, logs, strict=False)
        ],
        "log_artifact_id": logs[-1] if logs else None,
        "tail": last.tail if last else "",
    }


def _old_tests(checked: CheckedCheck) -> str:
    execution = checked.old_tests
    if execution is None or not execution.has_ended:
        return "not_run"
    return "failed" if execution.is_failing else "passed"


def _named(cases: Iterable[Case]) -> list[dict[str, str]]:
    first = sorted(cases)[:_MOST_NAMED]
    return [{"suite": case.suite, "class": case.class_name, "name": case.name} for case in first]


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "check": reason.check, "detail": reason.detail}


def _step(step: PerformedStep) -> dict[str, Any]:
    return {
        "index": step.index,
        "command": step.command,
        "status": step.status,
        "duration_ms": step.duration_ms,
        "tail": step.tail,
    }
