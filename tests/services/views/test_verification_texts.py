"""What a push, a pull request and the agent are told of the checks of a run."""

from typing import Any

import pytest

from app.enums import CheckGate, CheckSource, CheckStatus, Verdict, VerdictReason
from app.services.views.verification_texts import heading_of, page_of, repair_message, summarize
from app.verdicts.definitions import Check, CheckSet, unite
from tests.support.verification import shown_check, shown_verdict

TESTS = Check(id="tests", run=("pytest", "-k", "a b"), reports=("r.xml",))
LINT = Check(id="lint", shell="ruff check\nmypy", gate=CheckGate.STRICT)  # noqa: S604 - no call
PASSED, FAILED = CheckStatus.PASSED, CheckStatus.FAILED


@pytest.mark.parametrize(
    ("shown", "words", "heading"),
    [
        (shown_verdict(Verdict.VERIFIED, PASSED, PASSED), "verified (2 checks)", "Verified (2 checks)"),
        (shown_verdict(Verdict.REFUTED, FAILED, FAILED), "2 checks fail", "Refuted: 2 checks fail"),
        (
            shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.ERROR),
            "checks inconclusive",
            "Inconclusive: checks inconclusive",
        ),
        (shown_verdict(Verdict.CLAIMED, reason="no_checks"), "not checked", "Claimed: not checked"),
        (shown_verdict(Verdict.INCONCLUSIVE, reason=VerdictReason.CANCELLED), None, "Inconclusive"),
    ],
)
def test_words_say_the_verdict_and_what_it_is_about(shown: Any, words: str | None, heading: str) -> None:
    assert (summarize(shown), heading_of(shown)) == (words, heading)


def test_there_are_no_words_before_a_verdict() -> None:
    concluded = shown_verdict(Verdict.VERIFIED, PASSED)

    assert summarize(None) is None
    assert summarize(concluded | {"attempts": 0}) is None
    assert summarize(concluded | {"verdict": None}) is None


def test_page_says_how_much_it_leaves_out() -> None:
    shown = shown_verdict(Verdict.VERIFIED, *[PASSED] * 200)

    page = page_of(shown)

    rows = page.count("\n| `")
    assert page.endswith(f"\nand {len(shown['checks']) - rows} more\n")
    assert 0 < rows < 200


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
