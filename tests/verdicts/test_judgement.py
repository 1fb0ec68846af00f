"""The judgement over every combination of what executions can show, against the rules as they are written."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

import pytest

from app.agents.check_execution.check_context import Checked
from app.enums import (
    BaseExpectation,
    BaseStatus,
    BaseUse,
    CaseOutcome,
    CheckCause,
    CheckGate,
    ChecksNetwork,
    CheckSource,
    CheckStatus,
    Verdict,
    VerdictReason,
)
from app.services.runs.verification_attempts.shown_results import count_cases
from app.verdicts.definitions import Check, PlacedCheck, unite
from app.verdicts.judgement import (
    Case,
    CheckResult,
    Execution,
    Facts,
    JudgedCheck,
    Reason,
    base_status,
    judge,
    judge_check,
    needs_base,
    needs_execution,
)

pytestmark = pytest.mark.slow
F, P, S = CaseOutcome.FAILED, CaseOutcome.PASSED, CaseOutcome.SKIPPED
A, B, C = (Case("suite", "Class", name) for name in "abc")
A_MOVED = Case("other", "Class", "a")

PASSING: Final = (
    Execution(exit_code=0),
    Execution(exit_code=0, cases={A: P}),
    Execution(exit_code=0, cases={A_MOVED: P}, blocked_hosts=["x.example"]),
    Execution(exit_code=0, cases={A: P, B: S}),
)
EMPTY: Final = (
    Execution(exit_code=0, cases={}),
    Execution(exit_code=0, cases={A: S}),
    Execution(exit_code=5, cases={}),
)
FAILING: Final = (
    Execution(exit_code=1),
    Execution(exit_code=0, cases={A: F}),
    Execution(exit_code=1, cases={A: P}),
    Execution(exit_code=1, cases={A: F, B: P}),
    Execution(exit_code=1, cases={B: F, A: P, C: S}),
    Execution(exit_code=1, cases={A: F, B: F}),
)
SHOWING_NOTHING: Final = (
    Execution(),
    Execution(cases={B: P}),
    Execution(exit_code=126),
    Execution(exit_code=127, blocked_hosts=["x.example"], fault="broken"),
    Execution(cause=CheckCause.SETUP_FAILED),
    Execution(cause=CheckCause.WORKER),
    Execution(exit_code=0, cause=CheckCause.OUT_OF_MEMORY, cases={A: F}),
    Execution(exit_code=0, fault="broken"),
    Execution(exit_code=1, fault="broken", blocked_hosts=["x.example"]),
    Execution(exit_code=1, blocked_hosts=["x.example"], cases={A: F}),
    Execution(exit_code=0, blocked_hosts=["x.example"], cases={A: F}),
    Execution(exit_code=7, blocked_hosts=["x.example"], cases={}),
)
EXECUTIONS: Final = PASSING + EMPTY + FAILING + SHOWING_NOTHING
SEQUENCES: Final[tuple[tuple[Execution, ...], ...]] = (
    (),
    *((one,) for one in EXECUTIONS),
    *product(FAILING[1:5], PASSING[:2] + EMPTY[:1] + FAILING + SHOWING_NOTHING[:4]),
    *product(FAILING[3:], FAILING[3:], PASSING[:1] + FAILING[2:] + SHOWING_NOTHING[:1]),
)
BASES: Final = (None, *EXECUTIONS)
CHECKS: Final = tuple(
    Check(id="tests", run=("t",), gate=gate, reports=reports, expect_base=expected, retries=2)
    for gate, reports, expected in product(CheckGate, ((), ("r.xml",)), (None, BaseExpectation.FAILED))
)


def result_of(check: Check, *executions: Execution, base: Execution | None = None) -> CheckResult:
    placed = PlacedCheck(check=check, source=CheckSource.PROJECT, network=ChecksNetwork.NONE)
    return CheckResult(placed=placed, executions=list(executions), base=base)


def executed(execution: Execution) -> set[Case]:
    return {case for case, outcome in (execution.cases or {}).items() if outcome in {F, P}}


def failed(execution: Execution) -> set[Case]:
    return {case for case, outcome in (execution.cases or {}).items() if outcome is F}


def ended(execution: Execution) -> bool:
    return execution.cause is None and execution.exit_code not in {None, 126, 127}


def fails(execution: Execution) -> bool:
    return execution.exit_code != 0 or failed(execution) != set()


def shown(check: Check, one: Execution) -> CheckStatus:
    """What one execution shows: the first rule that holds."""
    has_tests = bool(executed(one))
    rules = [
        (one.cause is not None, CheckStatus.ERROR),
        (one.exit_code in {126, 127}, CheckStatus.ERROR),
        (one.exit_code is None, CheckStatus.TIMEOUT),
        (one.fault is not None, CheckStatus.ERROR),
        (bool(one.blocked_hosts) and fails(one), CheckStatus.ERROR),
        (bool(check.reports) and one.cases is not None and not has_tests, CheckStatus.NO_TESTS),
        (bool(check.reports) and one.cases is None and one.exit_code == 0, CheckStatus.NO_TESTS),
        (not fails(one), CheckStatus.PASSED),
    ]
    return next((status for holds, status in rules if holds), CheckStatus.FAILED)


def status_of(result: CheckResult, *, is_tampered: bool) -> CheckStatus:
    check, executions, base = result.check, result.executions, result.base
    if not executions:
        return CheckStatus.SKIPPED
    all_shown = [shown(check, one) for one in executions]
    for status in all_shown:
        if status not in {CheckStatus.PASSED, CheckStatus.FAILED}:
            return status
    if all_shown[0] is CheckStatus.PASSED:
        return CheckStatus.TAMPERED if is_tampered else CheckStatus.PASSED
    is_known = all(map(failed, executions))
    each_time = set.intersection(*map(failed, executions))
    if CheckStatus.PASSED in all_shown or (is_known and not each_time):
        return CheckStatus.FLAKY
    if (
        check.gate is CheckGate.REGRESSION
        and check.expect_base is None
        and base is not None
        and base_of(base) is BaseStatus.FAILED
        and is_known
        and each_time - failed(base) == set()
    ):
        return CheckStatus.FAILED_BEFORE
    return CheckStatus.FAILED


def base_of(base: Execution | None) -> BaseStatus:
    if base is None:
        return BaseStatus.NOT_RUN
    if not ended(base) or (fails(base) and base.blocked_hosts):
        return BaseStatus.ERROR
    return BaseStatus.FAILED if fails(base) else BaseStatus.PASSED


def reasons_of(result: CheckResult, status: CheckStatus, *, refuting: bool) -> set[VerdictReason]:
    """The reasons that a gating check gives, in either row, but `base_unknown`."""
    check, base = result.check, base_of(result.base)
    is_strict = check.gate is CheckGate.STRICT or check.expect_base is not None
    failed_before = failed(result.base) if result.base is not None else set()
    known_base = base is BaseStatus.PASSED or (base is BaseStatus.FAILED and failed_before != set())
    each_time = set.intersection(*map(failed, result.executions))
    is_new = known_base and bool(each_time - failed_before)
    is_failed = status is CheckStatus.FAILED
    if refuting:
        unknown = not each_time and base is BaseStatus.PASSED
        rows = {
            VerdictReason.CHECK_FAILED: is_failed and is_strict,
            VerdictReason.NEW_FAILURES: is_failed and not is_strict and (is_new or unknown),
        }
    else:
        rows = {
            VerdictReason.CHECK_TIMEOUT: status is CheckStatus.TIMEOUT,
            VerdictReason.CHECK_ERROR: status is CheckStatus.ERROR and not has_no_set_up(result),
            VerdictReason.NO_TESTS: status is CheckStatus.NO_TESTS,
            VerdictReason.FLAKY: status is CheckStatus.FLAKY,
            VerdictReason.CASES_REMOVED: bool(removed_of(result)),
            VerdictReason.BASE_FAILED_TOO: is_failed and not is_strict and base is BaseStatus.FAILED,
            VerdictReason.EXPECT_BASE_UNMET: check.expect_base is not None and base is BaseStatus.PASSED,
        }
    return {code for code, holds in rows.items() if holds}


def has_no_set_up(result: CheckResult) -> bool:
    first = next(one for one in result.executions if shown(result.check, one) is CheckStatus.ERROR)
    return first.cause is CheckCause.SETUP_FAILED


def removed_of(result: CheckResult) -> set[Case]:
    if result.base is None or not ended(result.base) or not result.executions:
        return set()
    last = result.executions[-1]
    if last.cases is None or not ended(last):
        return set()
    moved = {case[1:] for case in executed(last)}
    return {
        case for case in executed(result.base) - executed(last) if case in last.cases or case[1:] not in moved
    }


def results() -> Iterator[CheckResult]:
    for check, executions, base in product(CHECKS, SEQUENCES, BASES):
        yield result_of(check, *executions, base=base)


def test_every_combination_has_the_status_of_the_rules() -> None:
    number = 0
    for result in results():
        for is_tampered in (False, True):
            judged = judge_check(result, is_tampered=is_tampered)
            assert judged.status is status_of(result, is_tampered=is_tampered), result
            assert judged.base is base_of(result.base), result
            assert judged.removed == removed_of(result), result
            assert (judged.cause is not None) is (judged.status is CheckStatus.ERROR), result
            number += 1
    assert number > 40_000


def test_every_combination_has_the_verdict_of_the_rules() -> None:
    for result in results():
        judged = judge_check(result, is_tampered=False)
        verdict, reasons = judge([judged], Facts())

        codes = {reason.code for reason in reasons}
        assert len(codes) == len(reasons), result
        assert all(len(reason.detail) <= 300 for reason in reasons)
        if result.check.gate is CheckGate.INFORMATIONAL:
            assert (verdict, codes) == (Verdict.CLAIMED, {VerdictReason.NO_GATING_CHECKS}), result
        elif not result.executions:
            assert (verdict, codes) == (Verdict.CLAIMED, {VerdictReason.NONE_APPLICABLE}), result
        elif refuting := reasons_of(result, judged.status, refuting=True):
            assert (verdict, codes) == (Verdict.REFUTED, refuting), result
        else:
            doubts = reasons_of(result, judged.status, refuting=False)
            if judged.status is CheckStatus.ERROR and has_no_set_up(result):
                doubts.add(VerdictReason.SETUP_FAILED)
            assert codes - {VerdictReason.BASE_UNKNOWN} == doubts, result
            assert verdict is (Verdict.INCONCLUSIVE if codes else Verdict.VERIFIED), result


NO_DOUBT: Final = Facts()


def verdict_of(result: CheckResult, facts: Facts = NO_DOUBT) -> Verdict:
    return judge([judge_check(result, is_tampered=bool(facts.protected_changed))], facts).verdict


def counted_results() -> Iterator[CheckResult]:
    return (result for result in results() if result.check.is_gating and result.executions)


def is_proof(one: Execution) -> bool:
    """Whether an execution shows how its tree is: it ended by itself, and not for want of a host."""
    return ended(one) and one.fault is None and not (fails(one) and one.blocked_hosts)


def test_verified_needs_each_execution_and_the_base_that_it_rests_on() -> None:
    verified = [result for result in counted_results() if verdict_of(result) is Verdict.VERIFIED]
    assert len(verified) > 100
    for result in verified:
        assert all(map(is_proof, result.executions)), result
        if result.executions[-1].cases is not None:
            assert result.base is not None, result
        if result.check.expect_base is not None:
            assert result.base is not None, result
            assert ended(result.base), result
            assert fails(result.base), result
        if any(map(fails, result.executions)):
            assert result.base is not None, result
            assert ended(result.base), result
            assert result.check.gate is CheckGate.REGRESSION
            assert set.intersection(*map(failed, result.executions)) <= failed(result.base), result
        if result.base is not None and (result.check.expect_base or any(map(fails, result.executions))):
            assert not result.base.blocked_hosts, result


def test_what_shows_nothing_of_the_work_never_refutes_it() -> None:
    for result in counted_results():
        if not all(map(is_proof, result.executions)):
            assert verdict_of(result) is Verdict.INCONCLUSIVE, result
        if verdict_of(result) is not Verdict.REFUTED:
            for nothing in (None, Execution(), Execution(cause=CheckCause.WORKER)):
                unknown = result_of(result.check, *result.executions, base=nothing)
                assert verdict_of(unknown) is not Verdict.REFUTED, result


def test_verdict_without_the_base_is_verified_only_if_no_base_could_change_it() -> None:
    """Regression: an agent removed a failing test, and left no time for the base."""
    bases: dict[tuple[Check, tuple[int, ...]], list[CheckResult]] = {}
    for result in counted_results():
        key = (result.check, tuple(map(id, result.executions)))
        bases.setdefault(key, []).append(result)
    for same in bases.values():
        [without] = [result for result in same if result.base is None]
        if verdict_of(without) is Verdict.VERIFIED:
            assert {verdict_of(result) for result in same} == {Verdict.VERIFIED}, without


def test_more_doubts_never_make_a_verdict_better() -> None:
    for result in counted_results():
        before = verdict_of(result)
        doubts = [
            verdict_of(result, Facts(protected_changed=["a"])),
            verdict_of(result, Facts(file_fault="x")),
        ]
        assert set(doubts) == {before if before is Verdict.REFUTED else Verdict.INCONCLUSIVE}, result
        if result.base is not None and before is not Verdict.VERIFIED:
            blocked = replace(result.base, blocked_hosts=["x.example"])
            unsure = result_of(result.check, *result.executions, base=blocked)
            assert verdict_of(unsure) is not Verdict.VERIFIED, result


@pytest.mark.parametrize(
    ("base", "facts"),
    [
        # A first commit has no base, and a new tool, a new set-up or a test that hung none that shows cases.
        (None, Facts(has_base=False)),
        (Execution(exit_code=127), Facts()),
        (Execution(cause=CheckCause.SETUP_FAILED), Facts()),
        (Execution(), Facts()),
    ],
)
def test_passing_check_is_verified_where_its_base_cannot_show_cases(
    base: Execution | None, facts: Facts
) -> None:
    check = Check(id="tests", run=("t",), reports=("r.xml",))

    assert verdict_of(result_of(check, PASSING[1], base=base), facts) is Verdict.VERIFIED


def test_unfinished_repetition_leaves_a_failure_unproved() -> None:
    """Regression: the deadline cut a repetition off, and the work was refuted by the failure before it."""
    definitions = unite([])
    for gate in (CheckGate.STRICT, CheckGate.REGRESSION):
        check = Check(id="tests", run=("t",), gate=gate)
        checked = Checked(definitions=definitions, checks=[result_of(check, FAILING[0], base=PASSING[0])])
        checked.fill(CheckCause.DEADLINE)

        verdict, [reason] = judge(checked.judge(), Facts())
        assert (verdict, reason.detail) == (Verdict.INCONCLUSIVE, "deadline")


def judged_checks() -> list[JudgedCheck]:
    """One check for each status, gate, and way to decide the verdict."""
    found: dict[tuple[object, ...], JudgedCheck] = {}
    for result in results():
        judged = judge_check(result, is_tampered=False)
        alone = judge([judged], Facts())
        key = (result.check.gate, judged.status, tuple(reason.code for reason in alone.reasons))
        found.setdefault(key, judged)
    return list(found.values())


def test_two_checks_decide_together() -> None:
    checks = judged_checks()
    assert len(checks) > 40
    for one, other in product(checks, checks):
        renamed = replace(other.result.placed, check=replace(other.check, id="other"))
        second = replace(other, result=replace(other.result, placed=renamed))
        alone = [judge([one], Facts()), judge([second], Facts())]
        together = judge([one, second], Facts())

        verdicts = {judgement.verdict for judgement in alone}
        strongest = next(
            verdict
            for verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.VERIFIED, Verdict.CLAIMED)
            if verdict in verdicts
        )
        assert together.verdict is strongest
        if strongest is not Verdict.CLAIMED:
            deciding = [judgement for judgement in alone if judgement.verdict is strongest]
            reasons = [reason for judgement in deciding for reason in judgement.reasons]
            in_order = [reason for reason in reasons if reason.check] + sorted(
                {reason for reason in reasons if not reason.check}
            )
            assert list(together.reasons) == in_order


CHECK: Final = Check(id="tests", run=("t",), gate=CheckGate.STRICT)
BAD: Final = judge_check(result_of(CHECK, FAILING[0]), is_tampered=False)
SKIPPED: Final = judge_check(result_of(CHECK), is_tampered=False)


@pytest.mark.parametrize(
    ("checks", "facts", "codes"),
    [
        ([BAD], Facts(has_repository=False, has_changes=False, file_fault="x"), ["no_repository"]),
        ([BAD], Facts(has_changes=False, file_fault="x", protected_changed=["a"]), ["nothing_changed"]),
        ([], Facts(has_changes=False), ["nothing_changed"]),
        ([], Facts(), ["no_checks"]),
    ],
)
def test_claimed_for_the_first_thing_that_is_missing(
    checks: Sequence[JudgedCheck], facts: Facts, codes: list[str]
) -> None:
    verdict, reasons = judge(checks, facts)

    assert (verdict, [reason.code for reason in reasons]) == (Verdict.CLAIMED, codes)


def test_invalid_checks_file_counts_as_a_gating_check() -> None:
    fault = Reason(VerdictReason.CHECKS_FILE_INVALID, detail="check.0.id: This field is required.")
    facts = Facts(file_fault=fault.detail)

    for checks in ([], [SKIPPED]):
        assert judge(checks, facts) == (Verdict.INCONCLUSIVE, (fault,))
    assert judge([BAD], facts).verdict is Verdict.REFUTED


def test_doubts_beside_the_checks_come_last() -> None:
    timeout = judge_check(
        result_of(Check(id="slow", run=("t",)), Execution()),
        is_tampered=True,
    )
    facts = Facts(protected_changed=["a", "b"], file_fault="x")

    assert judge([timeout], facts) == (
        Verdict.INCONCLUSIVE,
        (
            Reason(VerdictReason.CHECK_TIMEOUT, "slow"),
            Reason(VerdictReason.PROTECTED_PATH_CHANGED, None, "a, b"),
            Reason(VerdictReason.CHECKS_FILE_INVALID, None, "x"),
        ),
    )


def test_protected_path_makes_a_passed_check_tampered_and_refutes_nothing() -> None:
    result = result_of(Check(id="a", run=("t",)), PASSING[0])
    judged = judge_check(result, is_tampered=True)

    assert judged.status is CheckStatus.TAMPERED
    verdict, [reason] = judge([judged], Facts(protected_changed=[".github/x"]))
    assert (verdict, reason.code) == (Verdict.INCONCLUSIVE, VerdictReason.PROTECTED_PATH_CHANGED)


def test_failed_set_up_is_one_reason_without_a_check() -> None:
    setup = Execution(cause=CheckCause.SETUP_FAILED)
    checks = [judge_check(result_of(Check(id=id_, run=("t",)), setup), is_tampered=False) for id_ in "ab"]

    assert judge(checks, Facts()) == (Verdict.INCONCLUSIVE, (Reason(VerdictReason.SETUP_FAILED),))


def judged(
    *executions: Execution, base: Execution | None = None, gate: CheckGate = CheckGate.REGRESSION
) -> JudgedCheck:
    check = Check(id="tests", run=("t",), reports=("r.xml",), gate=gate, retries=2)
    return judge_check(result_of(check, *executions, base=base), is_tampered=False)


def test_one_new_failure_among_three_old_ones_is_named() -> None:
    old = {Case("s", "c", name): F for name in ("x", "y", "z")}
    one = Execution(exit_code=1, cases={**old, Case("s", "c", "two\nlines"): F})
    found = judged(one, one, base=Execution(exit_code=1, cases=old))

    assert found.new == {Case("s", "c", "two\nlines")}
    assert judge([found], Facts()).reasons == (
        Reason(VerdictReason.NEW_FAILURES, "tests", "s > c > two lines"),
    )


def test_same_failures_as_on_the_base_are_verified_unless_the_gate_is_strict() -> None:
    red = Execution(exit_code=1, cases={A: F, B: F})

    assert judge([judged(red, base=red)], Facts()) == (Verdict.VERIFIED, ())
    assert judge([judged(red, base=red, gate=CheckGate.STRICT)], Facts()) == (
        Verdict.REFUTED,
        (Reason(VerdictReason.CHECK_FAILED, "tests", "exit code 1"),),
    )


def test_cases_that_differ_from_the_base() -> None:
    base = Execution(exit_code=1, cases={A: F, B: P, C: P, Case("s", "K", "d"): P, Case("s", "K", "e"): S})
    now = Execution(exit_code=0, cases={A: P, B: S, Case("s2", "K", "d"): P})
    found = judged(now, base=base)

    assert [sorted(cases) for cases in (found.new, found.fixed, found.removed)] == [[], [A], [B, C]]
    assert count_cases(found) == {"passed": 2, "failed": 0, "skipped": 1, "new": 0, "fixed": 1, "removed": 2}
    assert judge([found], Facts()).reasons == (
        Reason(VerdictReason.CASES_REMOVED, "tests", "suite > Class > b, suite > Class > c"),
    )


def test_skipped_case_was_not_moved() -> None:
    found = judged(
        Execution(exit_code=0, cases={A: S, A_MOVED: P}), base=Execution(exit_code=0, cases={A: P})
    )

    assert found.removed == {A}


def test_cases_that_failed_each_time() -> None:
    one, other = (Execution(exit_code=1, cases={A: F, case: F}) for case in (B, C))

    assert judged(one, other).failed == {A}
    assert judged(one, Execution(exit_code=1)).failed == frozenset()
    assert judged().failed == frozenset()


def test_check_without_cases_has_no_counts() -> None:
    assert count_cases(judged()) is None
    assert count_cases(judged(Execution(exit_code=0))) is None
    assert count_cases(judged(Execution(exit_code=0, cases={}))) is None


@pytest.mark.parametrize(
    ("execution", "detail"),
    [
        (Execution(cause=CheckCause.DISK_FULL, blocked_hosts=["a"]), "disk_full"),
        (Execution(exit_code=127), "missing_tool"),
        (Execution(exit_code=1, blocked_hosts=["a", "b"]), "network_blocked: a, b"),
        (Execution(exit_code=1, fault="no XML", blocked_hosts=["a"]), "report_invalid: no XML"),
        (Execution(exit_code=1, blocked_hosts=["a" * 400]), "network_blocked: " + "a" * 282 + "…"),
        (Execution(exit_code=1, blocked_hosts=["a" * 283]), "network_blocked: " + "a" * 283),
    ],
)
def test_error_names_its_cause(execution: Execution, detail: str) -> None:
    failing = Execution(exit_code=1, cases={A: F})

    [reason] = judge([judged(failing, execution)], Facts()).reasons
    assert reason == Reason(VerdictReason.CHECK_ERROR, "tests", detail)


def test_fault_of_the_file_is_cut() -> None:
    assert judge([], Facts(file_fault="x" * 400)).reasons[0].detail == "x" * 300


def test_failure_is_repeated_until_something_else_is_shown_or_no_retry_is_left() -> None:
    check = Check(id="tests", run=("t",), retries=2)
    failing, passing, timeout = FAILING[0], PASSING[0], Execution()

    assert [needs_execution(result_of(check, *[failing] * number)) for number in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
    assert not needs_execution(result_of(check, passing))
    assert not needs_execution(result_of(check, failing, passing))
    assert not needs_execution(result_of(check, failing, timeout))
    assert not needs_execution(result_of(replace(check, retries=0), failing))


def test_base_is_executed_where_it_can_change_the_verdict() -> None:
    failing, passing = FAILING[0], PASSING[0]
    plain = Check(id="tests", run=("t",))

    assert needs_base(result_of(plain, failing, failing), BaseUse.AUTO)
    assert not needs_base(result_of(plain, passing), BaseUse.AUTO)
    assert not needs_base(result_of(plain, failing, passing), BaseUse.AUTO)
    assert needs_base(result_of(plain, passing), BaseUse.ALWAYS)
    assert needs_base(result_of(replace(plain, reports=("r.xml",)), Execution()), BaseUse.AUTO)
    assert needs_base(result_of(replace(plain, expect_base=BaseExpectation.FAILED), passing), BaseUse.AUTO)
    assert not needs_base(result_of(replace(plain, expect_base=BaseExpectation.FAILED)), BaseUse.ALWAYS)
    informational = replace(plain, gate=CheckGate.INFORMATIONAL, reports=("r.xml",))
    assert not needs_base(result_of(informational, failing), BaseUse.AUTO)
    assert needs_base(result_of(informational, failing), BaseUse.ALWAYS)


def test_base_that_ended_is_passed_or_failed_whatever_its_report_unless_hosts_were_refused() -> None:
    assert base_status(Execution(exit_code=0, fault="broken")) is BaseStatus.PASSED
    assert base_status(Execution(exit_code=0, blocked_hosts=["a"])) is BaseStatus.PASSED
    assert base_status(Execution(exit_code=1, blocked_hosts=["a"])) is BaseStatus.ERROR
    assert base_status(Execution(exit_code=127)) is BaseStatus.ERROR
