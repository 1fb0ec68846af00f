"""When an agent is asked to correct refuted work, and when it is asked no more."""

from dataclasses import replace

import pytest

from app.enums import CaseOutcome, CheckGate, StopReason
from app.verdicts.definitions import Check
from app.verdicts.judgement import Case, Execution, JudgedCheck, digest_failures, judge_check, why_stopped
from tests.verdicts.test_judgement import result_of

F, P = CaseOutcome.FAILED, CaseOutcome.PASSED
TESTS = Check(id="tests", run=("pytest", "-k", "a b"), reports=("r.xml",))
LINT = Check(id="lint", shell="ruff check\nmypy", gate=CheckGate.STRICT)  # noqa: S604 - no call
GREEN = Execution(exit_code=0, cases={Case("s", "C", "old"): P})


def judged(check: Check, *executions: Execution, base: Execution | None = None) -> JudgedCheck:
    return judge_check(result_of(check, *executions, base=base), is_tampered=False)


def failing(*names: str, check: Check = TESTS, output: bytes = b"") -> JudgedCheck:
    cases = {Case("s", "C", name): F for name in names}
    return judged(check, Execution(exit_code=1, cases=cases, output=output), base=GREEN)


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
