"""Errors that end a run, as a tree. Each has a message for the person who started it, and the reason for its events.

AgentError                      a run fails: `message` is for people, `partial` is the work to keep, if there is any
├── UnknownAdapter              the catalog of agents has no adapter with the requested name
├── CatalogInvalid              the operator's catalog cannot be read or has a wrong entry; no process starts with it
├── AgentNotInstalled           the program that starts the agent is not installed here; the message says how to do that
├── AgentFailed                 the agent answered a prompt with an error: it could not do the work
│   └── AgentStepFailed         a step of the built-in agent failed; the message ends with the last lines of its output
├── AgentCrashed                the agent's process ended before it answered, or broke the Agent Client Protocol
│   └── SessionLost             it ended while it resumed a conversation; it can be started again with a new one
├── AgentTimedOut               the run has used up its time limit; time in which it waited for people does not count
├── AgentOverLimit              the run exceeded its memory, processes or disk space; `cause` says which, as for checks
├── AgentStopped                the worker stopped the agent: the run was cancelled, or the worker lost its claim on it
├── AgentCancelled              a person cancelled the agent: the run, or the turn that the agent was working on, ends
├── BudgetSpent                 the runs of the task have spent its budget; the message names the amount and the unit
├── OutputInvalid               the structured output is missing or does not match its schema, or the schema is invalid
├── SandboxUnavailable          the kind of sandbox that the operator requires does not work on this machine
├── EnvironmentUnavailable      the run's sandbox environment was deleted, is private, or cannot be decrypted
├── PathRefused                 a path from the agent is absolute, leads out of its folder, or passes a link that does
├── DiskFull                    the disk of the worker has no room for the files of a run
├── UnexpectedError             a defect of this service ended the work on a run; the worker's log has the details
└── RepositoryError             git failed to clone the repository, to commit the agent's work, or to push it
    ├── RepositoryNotFound      it does not exist, or the run's credentials cannot see it
    ├── RepositoryAccessDenied  the code host asked for credentials that the run does not have, or refused them
    ├── RepositoryUnreachable   the host's name could not be resolved, or it refused the connection or took too long
    ├── BranchNotFound          the repository does not have the branch that the run is to start from
    ├── PushRejected            the code host refused the branch that the run pushed
    └── WorkspaceBroken         the clone cannot be prepared, or the agent's commits cannot be read from it

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
    reason = RunReason.UNKNOWN_ADAPTER


class CatalogInvalid(AgentError):
    reason = RunReason.CATALOG_INVALID


class AgentNotInstalled(AgentError):
    reason = RunReason.AGENT_NOT_INSTALLED


class AgentFailed(AgentError):
    reason = RunReason.AGENT_FAILED


def unfinished(stop_reason: str) -> AgentFailed | None:
    """Return the failure that a turn's stop reason means; None if it is none, such as `end_turn`."""
    message = _UNFINISHED.get(stop_reason)
    return None if message is None else AgentFailed(message)


class AgentStepFailed(AgentFailed):
    reason = RunReason.AGENT_STEP_FAILED


class AgentCrashed(AgentError):
    reason = RunReason.AGENT_CRASHED


class SessionLost(AgentCrashed):
    reason = RunReason.SESSION_LOST


class AgentTimedOut(AgentError):
    reason = RunReason.AGENT_TIMED_OUT


class AgentOverLimit(AgentError):
    reason = RunReason.AGENT_OVER_LIMIT

    def __init__(self, message: str, *, cause: CheckCause = CheckCause.OUT_OF_MEMORY) -> None:
        super().__init__(message)
        self.cause = cause


class AgentStopped(AgentError):
    reason = RunReason.AGENT_STOPPED


class AgentCancelled(AgentError):
    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class BudgetSpent(AgentError):
    reason = RunReason.BUDGET_SPENT


class OutputInvalid(AgentError):
    reason = RunReason.OUTPUT_INVALID


class SandboxUnavailable(AgentError):
    reason = RunReason.SANDBOX_UNAVAILABLE


class EnvironmentUnavailable(AgentError):
    reason = RunReason.ENVIRONMENT_UNAVAILABLE


class PathRefused(AgentError):
    reason = RunReason.PATH_REFUSED


class DiskFull(AgentError):
    reason = RunReason.DISK_FULL


class UnexpectedError(AgentError):
    reason = RunReason.UNEXPECTED_ERROR


class RepositoryError(AgentError):
    reason = RunReason.REPOSITORY_ERROR


class RepositoryNotFound(RepositoryError):
    reason = RunReason.REPOSITORY_NOT_FOUND


class RepositoryAccessDenied(RepositoryError):
    reason = RunReason.REPOSITORY_ACCESS_DENIED


class RepositoryUnreachable(RepositoryError):
    reason = RunReason.REPOSITORY_UNREACHABLE


class BranchNotFound(RepositoryError):
    reason = RunReason.BRANCH_NOT_FOUND


class PushRejected(RepositoryError):
    reason = RunReason.PUSH_REJECTED


class WorkspaceBroken(RepositoryError):
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
