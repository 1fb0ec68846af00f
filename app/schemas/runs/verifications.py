"""The published form of verifications, and bodies about them (contract 18.6)."""

from typing import Annotated, ClassVar, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.enums import BaseStatus, CheckGate, CheckSource, CiState, Verdict
from app.schemas.base import Input, doc
from app.schemas.checks.check_sets import FoundCheckOut
from app.schemas.fields import Text
from app.schemas.users import UserBasic
from app.verdicts.agent_claims import AgentClaim

MAX_REASON = 500

# One test of a check. In this form because `class` is a keyword of Python.
CaseOut = TypedDict("CaseOut", {"suite": str, "class": str, "name": str})


class ReasonOut(TypedDict):
    """A reason for a verdict."""

    code: Annotated[str, doc("Why, as a word for programs.", "new_failures")]
    check: Annotated[str | None, doc("The check that it is about.", "tests")]
    detail: Annotated[str, doc("The cases, hosts, paths or the fault, for people.")]


# A time in the format of stored JSON.
_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class WaiverOut(TypedDict):
    """The decision of a member to accept work whose verdict is `refuted` or `inconclusive`."""

    reason: Annotated[str, doc("Why.", "The failing test is wrong.")]
    user: UserBasic | None
    at: _Time


class SetupStepOut(TypedDict):
    """A step of the set-up before the checks."""

    index: int
    command: Annotated[str, doc("What was run.", "npm ci")]
    status: Annotated[Literal["ok", "failed", "cached"], doc("`cached`: it was not run.")]
    duration_ms: int
    tail: NotRequired[Annotated[str, doc("In the list of attempts: the end of its output, at most 4 KiB.")]]


class CheckCountsOut(TypedDict):
    """The numbers of cases of a check."""

    passed: int
    failed: int
    skipped: int
    new: Annotated[int, doc("Failed, and did not fail on the base.")]
    fixed: Annotated[int, doc("Passed, and failed on the base.")]
    removed: Annotated[int, doc("Executed on the base, and skipped or absent now.")]


class CheckRunOut(TypedDict):
    """One execution of a check."""

    exit_code: int | None
    duration_ms: int
    log_artifact_id: Annotated[str | None, doc("The file of the run with its output.")]


class CheckResultOut(TypedDict):
    """What a check showed."""

    id: Annotated[str, doc("The check's id.", "tests")]
    command: NotRequired[Annotated[str, doc("What it executes, at most 200 characters.")]]
    source: Annotated[CheckSource, doc("Where it is defined.")]
    gate: Annotated[CheckGate, doc("Which of its failures count.")]
    status: Annotated[str, doc("`waiting` and `running` until it has a result.", "failed")]
    cause: Annotated[str | None, doc("Of an `error`: what kept it from a result.", "missing_tool")]
    exit_code: int | None
    duration_ms: int | None
    base: Annotated[BaseStatus, doc("What it showed on the base.")]
    base_cached: Annotated[bool, doc("Whether that is known from an earlier attempt.")]
    counts: CheckCountsOut | None
    old_tests: Annotated[Literal["passed", "failed", "not_run"], doc("With changed tests as on the base.")]
    old_tests_log_artifact_id: NotRequired[Annotated[str | None, doc("The file with the output of that.")]]
    new_failures: Annotated[list[CaseOut], doc("At most 50.")]
    removed_cases: Annotated[list[CaseOut], doc("At most 50.")]
    blocked_hosts: Annotated[list[str], doc("Hosts that it was refused.")]
    runs: list[CheckRunOut]
    log_artifact_id: Annotated[str | None, doc("The file with the output of its last execution.")]
    tail: NotRequired[Annotated[str, doc("In the list of attempts: the end of its output, at most 4 KiB.")]]


class ClaimOut(AgentClaim):
    """What the agent claimed of its work with the tool `report_result`."""

    judgement: Annotated[Verdict, doc("By a check, or the files of the work; else `claimed`.")]


class CiOut(TypedDict):
    """What the code host's own checks say of the delivered commit. It does not change the verdict."""

    state: CiState
    head_sha: str
    total: int
    failed: Annotated[list[str], doc("Names, at most 20.")]
    url: str | None


class VerdictOut(TypedDict):
    verdict: Annotated[Verdict | None, doc("Null while checks run.", "refuted")]
    reasons: Annotated[list[ReasonOut], doc("Why; empty for `verified`.")]
    finished_at: _Time | None


class ProgressOut(TypedDict):
    setup: list[SetupStepOut]
    checks: list[CheckResultOut]


class ResultOut(VerdictOut, ProgressOut):
    found: Annotated[list[FoundCheckOut], doc("Checks that the repository suggests, if nothing names any.")]
    claims: Annotated[list[ClaimOut], doc("What the agent claimed; it does not change the verdict.")]
    changed_tests: Annotated[list[str], doc("Existing tests that the work changes, at most 50.")]
    protected_changed: Annotated[list[str], doc("Protected files that it changes, put back for the checks.")]


class VerificationOut(ResultOut):
    """What the checks say of the work of a run: its newest attempt, or each of them."""

    attempt: Annotated[int, doc("The number of the newest attempt; 0 if nothing was checked.", 1)]
    attempts: Annotated[int, doc("How many attempts there were.", 1)]
    commit: Annotated[str | None, doc("The commit that was checked.")]
    base: Annotated[str | None, doc("The commit that the run began from.")]
    started_at: _Time | None
    stopped: Annotated[str | None, doc("Why no repair followed `refuted`: `limit`, `repeated`, `budget` …")]
    waived: Annotated[bool, doc("Whether a member accepts the work all the same.")]
    waivers: list[WaiverOut]
    ci: CiOut | None


class VerificationsOut(TypedDict):
    """The newest attempts to check the work of a run, newest first, and the number of all."""

    count: int
    results: list[VerificationOut]


class VerifyOut(TypedDict):
    """The answer to a request to check the work of a run again."""

    attempt: Annotated[int, doc("The number of the attempt that is waiting or running.", 2)]


class WaiveIn(Input):
    """A member's decision to accept work that is not verified."""

    examples: ClassVar = {"The check is wrong": {"reason": "The failing test is wrong."}}

    reason: Annotated[str, Text(max_length=MAX_REASON), doc("Why the work is accepted all the same.")]
