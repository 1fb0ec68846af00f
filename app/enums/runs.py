"""Enumerations of runs, of commands to their agents, and of usage limits."""

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run (contract 3.3)."""

    NOT_STARTED = "not_started"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_STATUSES = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class Environment(StrEnum):
    """The place where a run is performed: at its client (`local`) or by a worker of the service (`cloud`)."""

    LOCAL = "local"
    CLOUD = "cloud"


class RunMode(StrEnum):
    """Whether a run waits for further messages after its first turn."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class CommandMethod(StrEnum):
    """The method of a command to a running agent (contract 6.4, 13.6)."""

    USER_MESSAGE = "user_message"
    CANCEL = "cancel"
    CLOSE = "close"
    PERMISSION_RESPONSE = "permission_response"
    SET_CONFIG_OPTION = "set_config_option"


class CommandStatus(StrEnum):
    """The progress of a command to an agent; the run's log has each step, in this order."""

    ACCEPTED = "accepted"
    # The agent has received it.
    DELIVERED = "delivered"
    # Final: the agent has handled it, or it had no effect, for a reason that is logged.
    CONSUMED = "consumed"
    DROPPED = "dropped"


class PrAuthorshipMode(StrEnum):
    """The author of a run's pull request: the user, or the project's integration."""

    USER = "user"
    BOT = "bot"


class RunSource(StrEnum):
    """The trigger that started a run."""

    MANUAL = "manual"
    SIGNAL_REPORT = "signal_report"


class LimitType(StrEnum):
    """The usage limit that a project exceeded: for a short period or a long one (contract 2.4)."""

    BURST = "burst"
    SUSTAINED = "sustained"
