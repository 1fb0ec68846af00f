"""What the executions of checks prove: a status for each check, and one verdict. Every combination of facts has one."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from app.enums import (
    BaseStatus,
    BaseUse,
    CaseOutcome,
    CheckCause,
    CheckGate,
    CheckStatus,
    StopReason,
    Verdict,
    VerdictReason,
)
from app.verdicts.definitions import Check, PlacedCheck

# Exit codes of shells for a program that is not there or cannot be executed.
_NOT_EXECUTED: Final = frozenset({126, 127})
DETAIL_CHARACTERS: Final = 300
TAIL_BYTES: Final = 4096
DOUBTS: Final[Mapping[str, VerdictReason]] = {
    CheckStatus.TIMEOUT: VerdictReason.CHECK_TIMEOUT,
    CheckStatus.ERROR: VerdictReason.CHECK_ERROR,
    CheckStatus.NO_TESTS: VerdictReason.NO_TESTS,
    CheckStatus.FLAKY: VerdictReason.FLAKY,
}


class Case(NamedTuple):
    suite: str
    class_name: str
    name: str

    @property
    def title(self) -> str:
        return " > ".join(" ".join(part.split()) for part in self if part)


Cases = Mapping[Case, CaseOutcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a check. Without an exit code and a cause it ran out of time."""

    exit_code: int | None = None
    cause: CheckCause | None = None
    cases: Cases | None = None  # None: it wrote no report
    fault: str | None = None  # what is wrong with its report, or why the set-up before it failed
    blocked_hosts: Sequence[str] = ()  # to which the proxy refused connections during it
    duration_ms: int = 0
    output: bytes = field(default=b"", repr=False)  # only its end, once all of it is stored
    log: str | None = None  # the id of the run's file with the whole output

    @property
    def tail(self) -> str:
        return self.output[-TAIL_BYTES:].decode(errors="replace")

    @property
    def has_ended(self) -> bool:
        """Whether its command was executed and ended by itself."""
        return self.cause is None and self.exit_code is not None and self.exit_code not in _NOT_EXECUTED

    @property
    def failed(self) -> frozenset[Case]:
        return self.with_outcome(CaseOutcome.FAILED)

    @property
    def is_failing(self) -> bool:
        return self.exit_code != 0 or bool(self.failed)

    def with_outcome(self, *outcomes: CaseOutcome) -> frozenset[Case]:
        return frozenset(case for case, outcome in (self.cases or {}).items() if outcome in outcomes)

    def judge(self, check: Check) -> tuple[CheckStatus, CheckCause | None]:
        """Return what this execution shows by itself, on the result: passed, failed, timeout, error or no tests."""
        if not self.has_ended:
            if self.cause is None and self.exit_code is None:
                return CheckStatus.TIMEOUT, None
            return CheckStatus.ERROR, self.cause or CheckCause.MISSING_TOOL
        if self.fault is not None:
            return CheckStatus.ERROR, CheckCause.REPORT_INVALID
        if self.is_failing and self.blocked_hosts:
            return CheckStatus.ERROR, CheckCause.NETWORK_BLOCKED
        if check.reports and self._has_no_tests:
            return CheckStatus.NO_TESTS, None
        return (CheckStatus.FAILED if self.is_failing else CheckStatus.PASSED), None

    @property
    def _has_no_tests(self) -> bool:
        if self.cases is None:
            return self.exit_code == 0
        return not self.with_outcome(CaseOutcome.PASSED, CaseOutcome.FAILED)


@dataclass(slots=True, kw_only=True)
class CheckResult:
    """What was seen of a check so far: its executions on the result, and those on the base and with its tests."""

    placed: PlacedCheck
    applies: bool = True  # whether the changed files match its paths
    executions: list[Execution] = field(default_factory=list)
    base: Execution | None = None
    is_base_kept: bool = False
    old_tests: Execution | None = None

    @property
    def check(self) -> Check:
        return self.placed.check


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCheck:
    """A check with its status. The cases are those that differ from the base."""

    result: CheckResult
    status: CheckStatus
    cause: CheckCause | None
    base: BaseStatus
    new: frozenset[Case]  # failed in each execution, and not on the base
    fixed: frozenset[Case]
    removed: frozenset[Case]  # executed on the base, and not on the result

    @property
    def check(self) -> Check:
        return self.result.check

    @property
    def failed(self) -> frozenset[Case]:
        return _failed_each_time(self.result.executions)

    @property
    def is_counted(self) -> bool:
        """Whether it can decide the verdict."""
        return self.check.is_gating and self.status is not CheckStatus.SKIPPED

    @property
    def refutes(self) -> bool:
        if not self.is_counted or self.status is not CheckStatus.FAILED:
            return False
        if self.check.gate is CheckGate.STRICT or self.check.expect_base is not None:
            return True
        return bool(self.new) or self.base is BaseStatus.PASSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts that decide the verdict beside the checks."""

    has_repository: bool = True
    has_changes: bool = True
    has_base: bool = True  # whether the work began from a commit
    protected_changed: Sequence[str] = ()
    file_fault: str | None = None


class Reason(NamedTuple):
    code: VerdictReason
    check: str | None = None
    detail: str = ""


class Judgement(NamedTuple):
    verdict: Verdict
    reasons: tuple[Reason, ...]


def needs_execution(result: CheckResult) -> bool:
    """Return whether a check must be executed on the result, or once more: all of its executions failed."""
    is_left = result.applies and len(result.executions) <= result.check.retries
    return is_left and all(
        execution.judge(result.check)[0] is CheckStatus.FAILED for execution in result.executions
    )


def needs_base(result: CheckResult, use: BaseUse) -> bool:
    """Return whether a check must be executed on the base too, after all its executions on the result."""
    check = result.check
    is_failed = _status(result)[0] is CheckStatus.FAILED
    is_used = check.is_gating and (check.expect_base is not None or bool(check.reports) or is_failed)
    return bool(result.executions) and (use is BaseUse.ALWAYS or is_used)


def judge_check(result: CheckResult, *, is_tampered: bool) -> JudgedCheck:
    """Return a check with its status; `is_tampered`: the diff changes a protected path."""
    base = base_status(result.base)
    status, cause = _status(result)
    if status is CheckStatus.PASSED and is_tampered:
        status = CheckStatus.TAMPERED
    new = fixed = removed = frozenset[Case]()
    if result.base is not None and result.base.has_ended and result.executions:
        last = result.executions[-1]
        failed_before = _failed_before(result)
        if status is CheckStatus.FAILED and (failed_before or base is BaseStatus.PASSED):
            new = _failed_each_time(result.executions) - failed_before
        fixed = last.with_outcome(CaseOutcome.PASSED) & failed_before
        removed = _removed(last, result.base)
    return JudgedCheck(
        result=result, status=status, cause=cause, base=base, new=new, fixed=fixed, removed=removed
    )


def base_status(execution: Execution | None) -> BaseStatus:
    if execution is None:
        return BaseStatus.NOT_RUN
    if not execution.has_ended or (execution.is_failing and execution.blocked_hosts):
        return BaseStatus.ERROR
    return BaseStatus.FAILED if execution.is_failing else BaseStatus.PASSED


def _status(result: CheckResult) -> tuple[CheckStatus, CheckCause | None]:
    check, executions = result.check, result.executions
    if not executions:
        return CheckStatus.SKIPPED, None
    judged = [execution.judge(check) for execution in executions]
    # If a repetition shows neither, the failure before it is not confirmed.
    for status, cause in judged:
        if status not in {CheckStatus.PASSED, CheckStatus.FAILED}:
            return status, cause
    if judged[0][0] is CheckStatus.PASSED:
        return CheckStatus.PASSED, None
    each_time = _failed_each_time(executions)
    is_known = all(execution.failed for execution in executions)
    if any(status is CheckStatus.PASSED for status, _ in judged) or (is_known and not each_time):
        return CheckStatus.FLAKY, None
    is_old = is_known and each_time <= _failed_before(result)
    may_be_old = check.gate is CheckGate.REGRESSION and check.expect_base is None
    return (CheckStatus.FAILED_BEFORE if is_old and may_be_old else CheckStatus.FAILED), None


def _failed_each_time(executions: Iterable[Execution]) -> frozenset[Case]:
    failed = [execution.failed for execution in executions]
    return failed[0].intersection(*failed) if failed else frozenset()


def _failed_before(result: CheckResult) -> frozenset[Case]:
    base = result.base
    return base.failed if base is not None and base_status(base) is BaseStatus.FAILED else frozenset()


def _removed(last: Execution, base: Execution) -> frozenset[Case]:
    if last.cases is None or not last.has_ended:
        return frozenset()
    executed = last.with_outcome(CaseOutcome.PASSED, CaseOutcome.FAILED)
    gone = base.with_outcome(CaseOutcome.PASSED, CaseOutcome.FAILED) - executed
    # A case that is in another suite now was moved, not removed.
    names = {(case.class_name, case.name) for case in executed}
    return frozenset(case for case in gone if case in last.cases or (case.class_name, case.name) not in names)


def judge(checks: Sequence[JudgedCheck], facts: Facts) -> Judgement:
    """Return the verdict about a result, with all its reasons: those of checks first, in the order of the checks."""
    if claimed := _why_claimed(checks, facts):
        return Judgement(Verdict.CLAIMED, (Reason(claimed),))
    counting = [check for check in checks if check.is_counted]
    if refuting := tuple(_refutation(check) for check in counting if check.refutes):
        return Judgement(Verdict.REFUTED, refuting)
    doubts = [doubt for check in counting for doubt in _doubts(check, facts)]
    doubts += _doubts_beside_checks(counting, facts)
    return Judgement(Verdict.INCONCLUSIVE if doubts else Verdict.VERIFIED, tuple(doubts))


def _why_claimed(checks: Sequence[JudgedCheck], facts: Facts) -> VerdictReason | None:
    # The first of several causes is the reason.
    if not facts.has_repository:
        return VerdictReason.NO_REPOSITORY
    if not facts.has_changes:
        return VerdictReason.NOTHING_CHANGED
    # An invalid checks file counts as a gating check.
    if facts.file_fault is not None or any(check.is_counted for check in checks):
        return None
    if not checks:
        return VerdictReason.NO_CHECKS
    has_gating = any(check.check.is_gating for check in checks)
    return VerdictReason.NONE_APPLICABLE if has_gating else VerdictReason.NO_GATING_CHECKS


def _refutation(judged: JudgedCheck) -> Reason:
    check = judged.check
    is_strict = check.gate is CheckGate.STRICT or check.expect_base is not None
    code = VerdictReason.CHECK_FAILED if is_strict else VerdictReason.NEW_FAILURES
    cases = _titles(judged.new)
    return Reason(code, check.id, _listed(cases or [f"exit code {judged.result.executions[-1].exit_code}"]))


def _doubts(judged: JudgedCheck, facts: Facts) -> Iterator[Reason]:
    check = judged.check
    code = DOUBTS.get(judged.status)
    if judged.status is CheckStatus.FAILED and judged.base is BaseStatus.FAILED:
        code = VerdictReason.BASE_FAILED_TOO
    if code is not None and judged.cause is not CheckCause.SETUP_FAILED:
        yield Reason(code, check.id, _fault(judged))
    if _lacks_base(judged, facts):
        yield Reason(VerdictReason.BASE_UNKNOWN, check.id)
    if check.expect_base is not None and judged.base is BaseStatus.PASSED:
        yield Reason(VerdictReason.EXPECT_BASE_UNMET, check.id)
    if judged.removed:
        yield Reason(VerdictReason.CASES_REMOVED, check.id, _listed(_titles(judged.removed)))


def _lacks_base(judged: JudgedCheck, facts: Facts) -> bool:
    if judged.check.expect_base is not None or judged.status is CheckStatus.FAILED:
        return judged.base in {BaseStatus.ERROR, BaseStatus.NOT_RUN}
    # Without the base, nothing shows whether cases were removed. A base that was not executed is a doubt, because work
    # can use up the time for it. A base that was executed and failed to run is not: no repair could ever be verified.
    last = judged.result.executions[-1]
    has_cases = last.cases is not None and last.has_ended
    return has_cases and facts.has_base and judged.base is BaseStatus.NOT_RUN


def _doubts_beside_checks(counting: Sequence[JudgedCheck], facts: Facts) -> Iterator[Reason]:
    if unprepared := [judged for judged in counting if judged.cause is CheckCause.SETUP_FAILED]:
        yield Reason(VerdictReason.SETUP_FAILED, detail=_listed(_faults(unprepared[0])[:1]))
    if facts.protected_changed:
        yield Reason(VerdictReason.PROTECTED_PATH_CHANGED, detail=_listed(facts.protected_changed))
    if facts.file_fault is not None:
        yield Reason(VerdictReason.CHECKS_FILE_INVALID, detail=facts.file_fault[:DETAIL_CHARACTERS])


def _fault(judged: JudgedCheck) -> str:
    check, last = judged.check, judged.result.executions[-1]
    if judged.cause is None:
        has_none = judged.status is CheckStatus.NO_TESTS and last.cases is None
        return _listed(check.reports, first="no report") if has_none else ""
    hosts = [host for each in judged.result.executions for host in each.blocked_hosts]
    details = hosts if judged.cause is CheckCause.NETWORK_BLOCKED else _faults(judged)
    return _listed(details, first=judged.cause.value)


def _faults(judged: JudgedCheck) -> list[str]:
    return [each.fault for each in judged.result.executions if each.fault]


def _titles(cases: Iterable[Case]) -> list[str]:
    return [case.title for case in sorted(cases)]


def _listed(items: Iterable[str], *, first: str = "") -> str:
    text = ", ".join(items)
    text = f"{first}: {text}" if first and text else first or text
    return text if len(text) <= DETAIL_CHARACTERS else text[: DETAIL_CHARACTERS - 1] + "…"


def why_stopped(failures: str, earlier: Collection[str], *, most: int) -> StopReason | None:
    """Return why an agent does not correct its work again, at most `most` times; `earlier` are the failures before."""
    if len(earlier) >= most:
        return StopReason.LIMIT
    return StopReason.REPEATED if failures in earlier else None


def digest_failures(checks: Sequence[JudgedCheck]) -> str:
    """Return a digest of the checks that refute a result, with their failing cases."""
    failing = sorted([check.check.id, sorted(check.failed)] for check in checks if check.refutes)
    return sha256(json.dumps(failing).encode()).hexdigest()
