"""Enumerations of runs, of commands to their agents, and of usage limits."""

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run (contract 3.3). `app/models/runs/run_transitions.py` says which may follow which."""

    NOT_STARTED = "not_started"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_STATUSES = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class RunReason(StrEnum):
    """The reason why a run ended, or why it returned to the queue. It is also a label of the metrics."""

    CLIENT = "client"
    AGENT_ENDED = "agent ended"
    AGENT_SILENT = "agent silent"
    WORKER_LOST = "worker lost"
    WORKER_STOPPED = "worker stopped"
    FILES_LOST = "files lost"
    VERIFICATION_FAILED = "verification failed"
    # It goes back to its agent, to correct what checks found.
    REPAIR = "repair"
    # One for each class of errors that end runs (app/agents/errors.py), in the words of its name.
    UNKNOWN_ADAPTER = "unknown adapter"
    CATALOG_INVALID = "catalog invalid"
    AGENT_NOT_INSTALLED = "agent not installed"
    AGENT_FAILED = "agent failed"
    AGENT_STEP_FAILED = "agent step failed"
    AGENT_CRASHED = "agent crashed"
    SESSION_LOST = "session lost"
    AGENT_TIMED_OUT = "agent timed out"
    AGENT_OVER_LIMIT = "agent over limit"
    BUDGET_SPENT = "budget spent"
    AGENT_STOPPED = "agent stopped"
    OUTPUT_INVALID = "output invalid"
    SANDBOX_UNAVAILABLE = "sandbox unavailable"
    ENVIRONMENT_UNAVAILABLE = "environment unavailable"
    PATH_REFUSED = "path refused"
    DISK_FULL = "disk full"
    UNEXPECTED_ERROR = "unexpected error"
    REPOSITORY_ERROR = "repository error"
    REPOSITORY_NOT_FOUND = "repository not found"
    REPOSITORY_ACCESS_DENIED = "repository access denied"
    REPOSITORY_UNREACHABLE = "repository unreachable"
    BRANCH_NOT_FOUND = "branch not found"
    PUSH_REJECTED = "push rejected"
    WORKSPACE_BROKEN = "workspace broken"
    AGENT_ERROR = "agent error"
    ATTACHMENT_UNAVAILABLE = "attachment unavailable"

    @property
    def error_type(self) -> str:
        """The reason as events of failed runs contain it: with `_` in place of spaces, such as `agent_timed_out`."""
        return self.value.replace(" ", "_")


class Environment(StrEnum):
    """The place where a run is performed: by its client (`local`) or by a worker of the service (`cloud`)."""

    LOCAL = "local"
    CLOUD = "cloud"


class RunMode(StrEnum):
    """The mode of a run: `interactive` waits for messages after each turn; `background` ends after the first turn."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class CommandMethod(StrEnum):
    """The method of a command to a running agent (contract 6.4, 13.6)."""

    USER_MESSAGE = "user_message"
    CANCEL = "cancel"
    CLOSE = "close"
    PERMISSION_RESPONSE = "permission_response"
    SET_CONFIG_OPTION = "set_config_option"


# The commands that end the work of an agent.
STOPS = frozenset({CommandMethod.CANCEL, CommandMethod.CLOSE})


class ServiceMethod(StrEnum):
    """A method that the service answers itself, and that is no command to a running agent (contract 13.6, 18.3)."""

    QUEUE_GET = "queue_get"
    QUEUE_CLEAR = "queue_clear"
    SKIP_VERIFICATION = "skip_verification"


class CommandStatus(StrEnum):
    """The progress of a command to an agent: first accepted, then delivered, then either consumed or dropped."""

    ACCEPTED = "accepted"
    # The agent has received it.
    DELIVERED = "delivered"
    # Final: the agent has handled it, or it had no effect, for a reason that is logged.
    CONSUMED = "consumed"
    DROPPED = "dropped"


class PrAuthorshipMode(StrEnum):
    """The account that opens a run's pull request: the user's own, or for `bot` that of the project's integration."""

    USER = "user"
    BOT = "bot"


class RunSource(StrEnum):
    """The origin of a run: a request of a person or client (`manual`), or a signal report."""

    MANUAL = "manual"
    SIGNAL_REPORT = "signal_report"


class LimitType(StrEnum):
    """The kind of usage limit that a project exceeded: `burst` for a short period, `sustained` for a long one."""

    BURST = "burst"
    SUSTAINED = "sustained"


class DiffSource(StrEnum):
    """Which changes of a run are shown: those of its end, those of its workspace now, or what there is of both."""

    STORED = "stored"
    LIVE = "live"
    AUTO = "auto"


class DiffBase(StrEnum):
    """What is compared with: where the run began, or the first run on its branch, or the tip of the base branch now."""

    START = "start"
    FIRST = "first"
    BRANCH = "branch"


class DiffMissing(StrEnum):
    """Why changes of a run are not shown (contract 19.1)."""

    NOT_STARTED = "not_started"
    OVER = "over"
    ELSEWHERE = "elsewhere"
    NO_ANSWER = "no_answer"
    TOO_LARGE = "too_large"
    NO_BRANCH = "no_branch"
    FAILED = "failed"
    NO_TEXT = "no_text"


class DiffSide(StrEnum):
    """Whether a line is one of a file before its change or after it."""

    OLD = "old"
    NEW = "new"
