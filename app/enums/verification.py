"""Enumerations of checks, of their results, and of the verdict about a run."""

from enum import StrEnum


class CheckGate(StrEnum):
    """Which failures of a check count: all, those that the base did not have, or none."""

    STRICT = "strict"
    REGRESSION = "regression"
    INFORMATIONAL = "informational"


class CheckSource(StrEnum):
    """The place that defines a check, in the order in which places are united."""

    PROJECT = "project"
    REPOSITORY = "repository"
    FILE = "file"
    TASK = "task"
    RUN = "run"


class ChecksNetwork(StrEnum):
    """The network of checks: none, or that of the run."""

    NONE = "none"
    RUN = "run"


class OnUnverified(StrEnum):
    """How a run ends whose verdict is `refuted` or `inconclusive`."""

    COMPLETE = "complete"
    FAIL = "fail"


class BaseUse(StrEnum):
    """When checks are executed on the base: where it can change the verdict, or always."""

    AUTO = "auto"
    ALWAYS = "always"


class BaseExpectation(StrEnum):
    """What a check must do on the base for its result to prove anything."""

    FAILED = "failed"


class CheckStatus(StrEnum):
    """What the executions of a check show."""

    PASSED = "passed"
    FAILED = "failed"
    FAILED_BEFORE = "failed_before"
    FLAKY = "flaky"
    TIMEOUT = "timeout"
    ERROR = "error"
    NO_TESTS = "no_tests"
    SKIPPED = "skipped"
    TAMPERED = "tampered"


class CheckCause(StrEnum):
    """Why an execution shows nothing about the work."""

    SETUP_FAILED = "setup_failed"
    MISSING_TOOL = "missing_tool"
    SPAWN_FAILED = "spawn_failed"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    WORKER = "worker"
    DEADLINE = "deadline"
    REPORT_INVALID = "report_invalid"
    NETWORK_BLOCKED = "network_blocked"


class BaseStatus(StrEnum):
    """How a check ended on the base."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_RUN = "not_run"


class CaseOutcome(StrEnum):
    """How one case of a check ended, from the worst."""

    FAILED = "failed"
    PASSED = "passed"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What is known of the result of a run."""

    VERIFIED = "verified"
    CLAIMED = "claimed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


class ClaimKind(StrEnum):
    """What an agent claims of its work."""

    TESTS_PASS = "tests_pass"  # noqa: S105 - no password
    BUILD_PASSES = "build_passes"
    LINT_CLEAN = "lint_clean"
    BUG_FIXED = "bug_fixed"
    FILE_WRITTEN = "file_written"
    OTHER = "other"


class CiState(StrEnum):
    """What the code host's own checks say of a commit."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"


class VerdictReason(StrEnum):
    """Why a run has its verdict."""

    CANCELLED = "cancelled"
    SKIPPED_BY_MEMBER = "skipped_by_member"
    NO_REPOSITORY = "no_repository"
    NOTHING_CHANGED = "nothing_changed"
    NO_CHECKS = "no_checks"
    NO_GATING_CHECKS = "no_gating_checks"
    NONE_APPLICABLE = "none_applicable"
    CHECK_FAILED = "check_failed"
    NEW_FAILURES = "new_failures"
    CHECK_TIMEOUT = "check_timeout"
    CHECK_ERROR = "check_error"
    SETUP_FAILED = "setup_failed"
    NO_TESTS = "no_tests"
    FLAKY = "flaky"
    CASES_REMOVED = "cases_removed"
    BASE_FAILED_TOO = "base_failed_too"
    BASE_UNKNOWN = "base_unknown"
    EXPECT_BASE_UNMET = "expect_base_unmet"
    PROTECTED_PATH_CHANGED = "protected_path_changed"
    CHECKS_FILE_INVALID = "checks_file_invalid"


class StopReason(StrEnum):
    """Why an agent is not asked to correct a refuted result."""

    LIMIT = "limit"
    REPEATED = "repeated"
    BUDGET = "budget"
    DEADLINE = "deadline"
    AGENT = "agent"
    CANCELLED = "cancelled"


class CiStatus(StrEnum):
    """What the code host's own checks say of a run's work; `none`: nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"
    NONE = "none"
