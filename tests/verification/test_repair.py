"""What an agent is asked after a refuted attempt, and when it is asked no more."""

from dataclasses import replace
from typing import Any

import pytest

from app.enums import CaseOutcome, CheckGate, CheckSource, CheckStatus, StopReason, Verdict
from app.verification.definitions import Check, CheckSet, unite
from app.verification.judgement import Case, Execution, JudgedCheck, judge_check
from app.verification.repair import digest_failures, repair_message, why_stopped
from tests.support.verification import shown_check, shown_verdict
from tests.verification.test_judgement import result_of

F, P = CaseOutcome.FAILED, CaseOutcome.PASSED
TESTS = Check(id="tests", run=("pytest", "-k", "a b"), reports=("r.xml",))
LINT = Check(id="lint", shell="ruff check\nmypy", gate=CheckGate.STRICT)  # noqa: S604 - no call
GREEN = Execution(exit_code=0, cases={Case("s", "C", "old"): P})


def judged(check: Check, *executions: Execution, base: Execution | None = None) -> JudgedCheck:
    return judge_check(result_of(check, *executions, base=base), is_tampered=False)


def failing(*names: str, check: Check = TESTS, output: bytes = b"") -> JudgedCheck:
    cases = {Case("s", "C", name): F for name in names}
    return judged(check, Execution(exit_code=1, cases=cases, output=output), base=GREEN)


def shown_failure(check_id: str, tail: str, *names: str, **more: Any) -> dict[str, Any]:
    cases = [{"suite": "s", "class": "C", "name": name} for name in names]
    counts = {"passed": 0, "failed": len(names), "skipped": 0, "new": len(names), "fixed": 0, "removed": 0}
    check = shown_check(0, CheckStatus.FAILED) | {"id": check_id, "tail": tail}
    return check | {"new_failures": cases, "counts": counts if names else None} | more


def test_message_has_a_block_for_each_check_that_refutes() -> None:
    checks = [
        shown_failure("tests", "```\n\nE  x\r\n# end\n", "another", "one\n```"),
        shown_check(2, CheckStatus.PASSED) | {"blocked_hosts": ["a.example"]},
        shown_failure("lint", "bad", exit_code=2),
        shown_failure("docs", "not shown", blocked_hosts=["b.example", "a.example"]),
    ]
    shown = shown_verdict(Verdict.REFUTED) | {
        "checks": checks,
        "reasons": [
            {"code": "new_failures", "check": "tests", "detail": "s > C > another"},
            {"code": "check_failed", "check": "lint", "detail": ""},
        ],
        "protected_changed": [".github/a", ".gitlab-ci.yml"],
    }
    definitions = unite([(CheckSource.PROJECT, CheckSet(checks=(TESTS, LINT)))])

    message = repair_message(shown, definitions, attempt=1, attempts=3)

    assert message == (
        "The checks of this run do not pass (attempt 1 of 3).\n"
        "\n"
        "Check tests: pytest -k 'a b'\n"
        "exit code 1\n"
        "new failing cases (2):\n"
        "- s > C > another\n"
        "- s > C > one ```\n"
        "output:\n"
        "| ```\n"
        "| \n"
        "| E  x\n"
        "| # end\n"
        "\n"
        "Check lint: ruff check\n"
        "mypy\n"
        "exit code 2\n"
        "output:\n"
        "| bad\n"
        "\n"
        "blocked hosts: a.example, b.example\n"
        "\n"
        "protected paths, put back: .github/a, .gitlab-ci.yml\n"
        "\n"
        "Correct the cause; the checks run again on a fresh clone."
    )


def test_message_about_what_proves_nothing_says_why() -> None:
    shown = shown_verdict(Verdict.INCONCLUSIVE) | {
        "checks": [shown_failure("tests", "slow\n", exit_code=None), shown_failure("lint", "not shown")],
        "reasons": [
            {"code": "check_timeout", "check": "tests", "detail": "600 s"},
            {"code": "checks_file_invalid", "check": None, "detail": "line 3:\n```"},
        ],
    }

    message = repair_message(shown, None, attempt=1, attempts=1)

    assert message == (
        "The checks of this run are inconclusive (attempt 1 of 1).\n"
        "\n"
        "checks file invalid: line 3: ```\n"
        "\n"
        "Check tests\n"
        "check timeout: 600 s\n"
        "output:\n"
        "| slow\n"
        "\n"
        "Correct the cause; the checks run again on a fresh clone."
    )


def test_message_about_a_set_up_that_failed_has_its_step_its_end_and_its_last_lines() -> None:
    """Regression: it said `setup failed` and no more."""
    step = {"index": 0, "command": "make deps", "status": "ok", "duration_ms": 1, "tail": "not shown"}
    failed = step | {"index": 1, "command": "make db", "status": "failed", "tail": "no server\n```\n"}
    shown = shown_verdict(Verdict.INCONCLUSIVE) | {
        "setup": [step, failed],
        "reasons": [
            {"code": "setup_failed", "check": None, "detail": "make db: it ended with exit code 2"},
        ],
    }

    message = repair_message(shown, None, attempt=1, attempts=1)

    assert message == (
        "The checks of this run are inconclusive (attempt 1 of 1).\n"
        "\n"
        "setup failed: make db: it ended with exit code 2\n"
        "\n"
        "Set-up: make db\n"
        "output:\n"
        "| no server\n"
        "| ```\n"
        "\n"
        "Correct the cause; the checks run again on a fresh clone."
    )


@pytest.mark.parametrize(
    ("most", "earlier", "stopped"),
    [
        (1, [], None),
        (2, ["b"], None),
        (0, [], StopReason.LIMIT),
        (1, ["a"], StopReason.LIMIT),
        (3, ["b", "a"], StopReason.REPEATED),
    ],
)
def test_refuted_result_is_repaired_until_the_loop_ends(
    most: int, earlier: list[str], stopped: StopReason | None
) -> None:
    assert why_stopped("a", earlier, most=most) is stopped


def test_digest_is_of_the_failing_cases_of_refuting_checks() -> None:
    lint = judged(LINT, Execution(exit_code=1))
    first = digest_failures([failing("a", "b"), lint])

    assert digest_failures([judged(LINT, Execution(exit_code=2, output=b"bad")), failing("b", "a")]) == first
    assert digest_failures([failing("a"), lint]) != first
    assert digest_failures([failing("a", "b")]) != first
    passed = judged(replace(TESTS, id="more"), GREEN)
    assert digest_failures([failing("a", "b"), lint, passed]) == first


def test_digest_of_a_strict_check_has_cases_that_the_base_had_too() -> None:
    strict = replace(TESTS, gate=CheckGate.STRICT)
    red = [Execution(exit_code=1, cases={Case("s", "C", name): F}) for name in "ab"]

    one, other = (digest_failures([judged(strict, execution, base=execution)]) for execution in red)

    assert one != other
