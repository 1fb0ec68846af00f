"""The JSON of a verification: what an attempt shows that was ended or lost (contract 18.3, 18.6)."""

from typing import Any

import pytest

from app.agents.check_execution.check_context import Checked
from app.enums import ChecksNetwork, CheckSource, Verdict
from app.services.runs.verification_attempts.shown_results import (
    show_check,
    show_closed,
    show_lost,
    show_progress,
)
from app.verdicts.definitions import Check, PlacedCheck, unite
from app.verdicts.judgement import CheckResult, Execution, Judgement
from tests.support.verification import CHECK

JSON = dict[str, Any]


def shown(status: str, gate: str = "regression", **more: Any) -> Any:
    return {**CHECK, "status": status, "gate": gate, **more}


@pytest.mark.parametrize(
    ("checks", "verdict", "codes"),
    [
        ([], "inconclusive", ["check_error"]),
        ([shown("passed")], "inconclusive", ["check_error"]),
        ([shown("passed"), shown("waiting")], "inconclusive", ["check_error"]),
        ([shown("timeout"), shown("running")], "inconclusive", ["check_timeout", "check_error"]),
        # Without its base nobody knows whether the failure is new.
        ([shown("failed", exit_code=1)], "inconclusive", ["base_unknown"]),
        # A strict check refutes by itself, and what else is in doubt is left out.
        ([shown("failed", "strict", exit_code=1), shown("waiting")], "refuted", ["check_failed"]),
        ([shown("failed", "informational", exit_code=1)], "inconclusive", ["check_error"]),
    ],
)
def test_lost_attempt_proves_nothing_but_failures_of_strict_checks(
    checks: list[Any], verdict: str, codes: list[str]
) -> None:
    lost: Any = show_lost(checks)
    assert (lost["verdict"], [reason["code"] for reason in lost["reasons"]]) == (verdict, codes)
    for before, after in zip(checks, lost["checks"], strict=True):
        is_open = before["status"] in {"waiting", "running"}
        assert (after["status"], after["cause"]) == (
            ("error", "worker") if is_open else (before["status"], None)
        )


def test_attempt_that_a_member_ends_skips_what_is_open() -> None:
    ended: Any = show_closed(Judgement(Verdict.INCONCLUSIVE, ()), [shown("passed"), shown("running")])
    assert [check["status"] for check in ended["checks"]] == ["passed", "skipped"]
    assert ended["finished_at"] is not None


def placed(name: str) -> PlacedCheck:
    return PlacedCheck(
        check=Check(id=name, run=("make", "x" * 300)), source=CheckSource.PROJECT, network=ChecksNetwork.NONE
    )


def test_check_shows_where_it_is_and_what_it_has_done() -> None:
    ended, running, waiting = map(placed, ("ended", "running", "waiting"))
    executions = [Execution(exit_code=1, log="first"), Execution(exit_code=0, output=b"done", log="second")]
    results = [
        CheckResult(placed=ended, executions=executions),
        *(CheckResult(placed=each) for each in (running, waiting)),
    ]
    progress = show_progress(Checked(definitions=unite(()), checks=results), running)
    assert [check["status"] for check in progress["checks"]][1:] == ["running", "waiting"]
    first = progress["checks"][0]
    assert first["status"] not in {"running", "waiting"}
    assert (first["exit_code"], first["log_artifact_id"], first["tail"]) == (0, "second", "done")
    assert [run["log_artifact_id"] for run in first["runs"]] == ["first", "second"]
    assert len(first["command"]) == 200


@pytest.mark.parametrize(
    ("execution", "word"),
    [
        (None, "not_run"),
        (Execution(), "not_run"),
        (Execution(exit_code=127), "not_run"),
        (Execution(exit_code=1), "failed"),
        (Execution(exit_code=0), "passed"),
    ],
)
def test_old_tests_are_shown_by_one_word(execution: Execution | None, word: str) -> None:
    assert show_check(CheckResult(placed=placed("a"), old_tests=execution))["old_tests"] == word
