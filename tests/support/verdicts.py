"""Verifications as the API shows them."""

from typing import Any

from app.enums import CheckGate, CheckStatus, Verdict
from app.services.verification.results import OPEN

_REFUTING = {CheckStatus.FAILED: "check_failed"}


def shown_check(number: int, status: CheckStatus, gate: CheckGate = CheckGate.STRICT) -> dict[str, Any]:
    return {
        "id": f"check-{number}",
        "source": "project",
        "gate": gate,
        "status": status,
        "cause": None,
        "exit_code": int(status is CheckStatus.FAILED),
        "duration_ms": 1,
        "base": "not_run",
        "base_cached": False,
        "counts": None,
        "old_tests": "not_run",
        "new_failures": [],
        "removed_cases": [],
        "blocked_hosts": [],
        "runs": [],
        "log_artifact_id": None,
        "tail": "secret output",
    }


def shown_verdict(
    verdict: Verdict, *statuses: CheckStatus, reason: str | None = None, attempt: int = 1
) -> dict[str, Any]:
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
        "commit": "c" * 40 if attempt else None,
        "base": "b" * 40 if attempt else None,
        "checks": checks,
    }
