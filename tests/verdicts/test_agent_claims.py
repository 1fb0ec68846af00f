"""What checks and the files of the work say of an agent's claims (contract 18.6)."""

from typing import Any

from app.enums import CheckStatus, ClaimKind, Verdict
from app.verdicts.agent_claims import AgentClaim, judge_claim
from tests.support.assertions import concerning

STATUSES = {"tests": CheckStatus.PASSED, "lint": CheckStatus.FAILED}
COMMANDS: dict[tuple[str, ...], str] = {("pytest", "-q"): "tests", ("ruff", "check"): "lint"}
CHANGED = ("app/main.py",)
CLAIM: AgentClaim = {
    "statement": "It works.",
    "kind": ClaimKind.TESTS_PASS,
    "check": None,
    "command": None,
    "path": None,
}
CASES: tuple[tuple[Any, Verdict], ...] = (
    ({}, Verdict.CLAIMED),
    ({"check": "tests"}, Verdict.VERIFIED),
    ({"check": "lint"}, Verdict.REFUTED),
    ({"check": "unknown"}, Verdict.CLAIMED),
    ({"command": ["pytest", "-q"]}, Verdict.VERIFIED),
    ({"command": ["ruff", "check"]}, Verdict.REFUTED),
    ({"command": ["pytest"]}, Verdict.CLAIMED),
    # The check that is named counts.
    ({"check": "lint", "command": ["pytest", "-q"]}, Verdict.REFUTED),
    ({"kind": ClaimKind.FILE_WRITTEN, "path": "app/main.py"}, Verdict.VERIFIED),
    ({"kind": ClaimKind.FILE_WRITTEN, "path": "app/other.py"}, Verdict.REFUTED),
    ({"kind": ClaimKind.FILE_WRITTEN}, Verdict.CLAIMED),
    ({"kind": ClaimKind.BUG_FIXED, "path": "app/main.py"}, Verdict.CLAIMED),
)


def test_claim_is_judged_by_its_check_or_its_file() -> None:
    for fields, verdict in CASES:
        with concerning(fields):
            assert judge_claim({**CLAIM, **fields}, STATUSES, COMMANDS, CHANGED) is verdict


def test_only_a_check_that_passed_or_failed_says_anything() -> None:
    claim: AgentClaim = {**CLAIM, "check": "tests"}
    for status in set(CheckStatus) - {CheckStatus.PASSED, CheckStatus.FAILED}:
        assert judge_claim(claim, {"tests": status}, {}, ()) is Verdict.CLAIMED
