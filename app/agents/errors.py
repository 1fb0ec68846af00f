"""Errors that end a run. Each has a message for the person who started it, and the reason for its events.

No message ever holds the credentials of a clone URL.
"""

import errno
from typing import TYPE_CHECKING, ClassVar, Self

from app.enums import CheckCause, RunReason

if TYPE_CHECKING:
    from app.agents.run_result import RunResult

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

# The JSON-RPC error code by which the runbook agent reports that a step failed.
STEP_FAILED = -32051

_UNFINISHED = {
    "max_tokens": "The agent stopped because it ran out of tokens.",
    "max_turn_requests": "The agent stopped because it made too many requests to its model.",
    "refusal": "The agent refused to do this.",
    "cancelled": "The agent was cancelled.",
}


class AgentError(Exception):
    """A run cannot be completed. `message` is for people; `partial` is the work to keep, if there is any."""

    reason: ClassVar[RunReason] = RunReason.AGENT_ERROR

    def __init__(self, message: str, *, partial: "RunResult | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.partial = partial

    def with_message(self, message: str) -> Self:
        return self._copy(message, self.partial)

    def with_partial(self, partial: "RunResult | None") -> Self:
        """Return a copy of this error with another partial result: the work that the agent did before the error."""
        return self._copy(self.message, partial)

    def _copy(self, message: str, partial: "RunResult | None") -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        AgentError.__init__(copy, message, partial=partial)
        return copy


class UnknownAdapter(AgentError):
    """The catalog of agents has no adapter with the requested name."""

    reason = RunReason.UNKNOWN_ADAPTER


class CatalogInvalid(AgentError):
    """The operator's catalog of agents cannot be read or has a wrong entry; no process starts with it."""

    reason = RunReason.CATALOG_INVALID


class AgentNotInstalled(AgentError):
    """The program that starts the agent is not installed on this worker; the message says how to install it."""

    reason = RunReason.AGENT_NOT_INSTALLED


class AgentFailed(AgentError):
    """The agent answered a prompt with an error: it could not do the work."""

    reason = RunReason.AGENT_FAILED


def unfinished(stop_reason: str) -> AgentFailed | None:
    """Return the failure that a turn's stop reason means; None if it is none, such as `end_turn`."""
    message = _UNFINISHED.get(stop_reason)
    return None if message is None else AgentFailed(message)


class AgentStepFailed(AgentFailed):
    """A step of the built-in agent's program failed. The message ends with the last lines of the step's output."""

    reason = RunReason.AGENT_STEP_FAILED


class AgentCrashed(AgentError):
    """The agent's process ended before it answered a prompt, or the agent broke the Agent Client Protocol."""

    reason = RunReason.AGENT_CRASHED


class SessionLost(AgentCrashed):
    """The agent ended while it resumed an earlier conversation. It can be started again with a new one."""

    reason = RunReason.SESSION_LOST


class AgentTimedOut(AgentError):
    """The run has used up its time limit. Time in which it waited for people does not count."""

    reason = RunReason.AGENT_TIMED_OUT


class AgentOverLimit(AgentError):
    """The run exceeded its limit of memory, processes or disk space; `cause` says which in the words of checks."""

    reason = RunReason.AGENT_OVER_LIMIT

    def __init__(self, message: str, *, cause: CheckCause = CheckCause.OUT_OF_MEMORY) -> None:
        super().__init__(message)
        self.cause = cause


class AgentStopped(AgentError):
    """The worker stopped the agent: the run was cancelled, or the worker has lost its claim on it."""

    reason = RunReason.AGENT_STOPPED


class AgentCancelled(AgentError):
    """Raised if a person cancelled the agent: the run, or the turn that the agent was working on, ends."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class BudgetSpent(AgentError):
    """The runs of the task have together spent the task's budget. The message names the amount and the unit."""

    reason = RunReason.BUDGET_SPENT


class OutputInvalid(AgentError):
    """The structured output of a run is missing, does not match its JSON schema, or the schema is not valid."""

    reason = RunReason.OUTPUT_INVALID


class SandboxUnavailable(AgentError):
    """The kind of sandbox that the operator requires does not work on this machine."""

    reason = RunReason.SANDBOX_UNAVAILABLE


class EnvironmentUnavailable(AgentError):
    """The sandbox environment that a run names cannot be used: it was deleted, is private, or cannot be decrypted."""

    reason = RunReason.ENVIRONMENT_UNAVAILABLE


class PathRefused(AgentError):
    """A path that an agent gave is absolute, leads out of its folder, or passes a symbolic link that leads out."""

    reason = RunReason.PATH_REFUSED


class DiskFull(AgentError):
    """The disk of the worker has no room for the files of a run."""

    reason = RunReason.DISK_FULL


class UnexpectedError(AgentError):
    """A defect of this service ended the work on a run. The worker's log has the details."""

    reason = RunReason.UNEXPECTED_ERROR


class RepositoryError(AgentError):
    """Git failed to clone the repository of a run, to commit the agent's work, or to push it."""

    reason = RunReason.REPOSITORY_ERROR


class RepositoryNotFound(RepositoryError):
    """The repository of a run does not exist, or the run's credentials cannot see it."""

    reason = RunReason.REPOSITORY_NOT_FOUND


class RepositoryAccessDenied(RepositoryError):
    """The code host asked for credentials that the run does not have, or refused them."""

    reason = RunReason.REPOSITORY_ACCESS_DENIED


class RepositoryUnreachable(RepositoryError):
    """The name of the code host could not be resolved, or the host refused the connection or took too long."""

    reason = RunReason.REPOSITORY_UNREACHABLE


class BranchNotFound(RepositoryError):
    """The repository does not have the branch that the run is to start from."""

    reason = RunReason.BRANCH_NOT_FOUND


class PushRejected(RepositoryError):
    """The code host refused the branch that the run pushed."""

    reason = RunReason.PUSH_REJECTED


class WorkspaceBroken(RepositoryError):
    """The clone in the agent's workspace cannot be prepared, or the agent's commits cannot be read from it."""

    reason = RunReason.WORKSPACE_BROKEN


def is_disk_full(error: BaseException) -> bool:
    """Return whether an exception is an OSError of a full disk or an exceeded disk quota."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def as_agent_error(error: Exception) -> AgentError:
    """Return the error that a run fails with after any exception: an AgentError itself, DiskFull or UnexpectedError."""
    if isinstance(error, AgentError):
        return error
    if is_disk_full(error):
        return DiskFull("The disk of the worker is full. Start the run again when there is room.")
    return UnexpectedError(
        "The worker met an unexpected error while performing this run. Its log has the details."
    )
