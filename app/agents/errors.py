"""Errors that end a run, with messages for the person who started it.

AgentError                          `message` becomes the run's `error_message`; `partial` keeps the work so far
├── UnknownAdapter                  no adapter of that name in the catalog
├── CatalogInvalid                  the operator's catalog of adapters is not valid
├── AgentNotInstalled               the adapter's command is not on this worker
├── AgentFailed                     the agent itself reported that it could not do the work
│   └── AgentStepFailed             a step of a runbook failed; its last lines are in the message
├── AgentCrashed                    the agent's process ended, or broke the protocol
│   └── SessionLost                 … while it resumed the conversation of an earlier run
├── AgentTimedOut                   the wall-clock limit of the run passed
├── AgentOverLimit                  the run used more than its share of memory, processes or disk
├── BudgetSpent                     the task has used up its budget of tokens or money
├── AgentStopped                    the run was stopped
├── AgentCancelled                  people cancelled the agent's work
├── OutputInvalid                   the structured output is missing, not JSON, or does not match the schema
├── SandboxUnavailable              the sandbox that the operator asked for does not work on this machine
├── EnvironmentUnavailable          the run's sandbox environment is gone, or its variables cannot be read
├── PathRefused                     a path leads out of the workspace
└── RepositoryError                 git, before or after the agent worked
    ├── RepositoryNotFound          it does not exist, or our credentials cannot see it
    ├── RepositoryAccessDenied      the remote refused our credentials
    ├── RepositoryUnreachable       the host did not answer
    ├── BranchNotFound              the base branch is not in the repository
    ├── PushRejected                the remote refused the new branch
    ├── LargeFilesFailed            a file of Git LFS cannot be fetched or stored
    └── WorkspaceBroken             the agent's files cannot be made into a commit

No message ever holds the credentials of a clone URL.
"""

import errno
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from app.agents.result import RunResult

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

# The JSON-RPC error code by which the runbook agent reports that a step failed.
STEP_FAILED = -32051


class AgentError(Exception):
    """A run cannot be completed; `message` is a sentence for people, sometimes followed by output."""

    def __init__(self, message: str, *, partial: "RunResult | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.partial = partial

    def with_message(self, message: str) -> Self:
        """Return a copy of this error with another message."""
        return self._copy(message, self.partial)

    def with_partial(self, partial: "RunResult | None") -> Self:
        """Return a copy of this error that holds the work which was done before it."""
        return self._copy(self.message, partial)

    def _copy(self, message: str, partial: "RunResult | None") -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        AgentError.__init__(copy, message, partial=partial)
        return copy


class UnknownAdapter(AgentError):
    """The catalog of agents has no adapter of the requested name."""


class CatalogInvalid(AgentError):
    """The operator's catalog of agents cannot be read or has a wrong entry; the process does not start."""


class AgentNotInstalled(AgentError):
    """The adapter's command is not on this worker; the message says how to install it."""


class AgentFailed(AgentError):
    """The agent answered a prompt with an error: it could not do the work."""


class AgentStepFailed(AgentFailed):
    """A step of a runbook (the built-in agent's program) failed; the message ends with its last output."""


class AgentCrashed(AgentError):
    """The agent's process ended before it answered a prompt, or broke the protocol."""


class SessionLost(AgentCrashed):
    """The agent ended while it resumed an earlier conversation; it can still start a new one."""


class AgentTimedOut(AgentError):
    """The run has used up its wall-clock limit."""


class AgentOverLimit(AgentError):
    """The run used more memory, processes or disk than it may."""


class AgentStopped(AgentError):
    """The run was stopped before its agent had finished: it was cancelled, or its worker has lost it."""


class AgentCancelled(AgentError):
    """People cancelled the run, or the last turn of its agent."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class BudgetSpent(AgentError):
    """The task has spent the budget of all its runs; the message names the amount and the unit."""


class OutputInvalid(AgentError):
    """A run's structured output is missing or does not match the JSON schema, or the schema is not valid."""


class SandboxUnavailable(AgentError):
    """The kind of sandbox that the operator requires does not work on this machine."""


class EnvironmentUnavailable(AgentError):
    """The sandbox environment of a run is gone or unreadable; the run must not start without it."""


class PathRefused(AgentError):
    """A path from an agent is absolute, leads out of its folder, or passes a link that does."""


class RepositoryError(AgentError):
    """Git failed to clone the repository of a run, to commit the agent's work, or to push it."""


class RepositoryNotFound(RepositoryError):
    """The repository of a run does not exist, or the run's credentials cannot see it."""


class RepositoryAccessDenied(RepositoryError):
    """The code host asked for credentials that the run does not have, or refused them."""


class RepositoryUnreachable(RepositoryError):
    """The code host could not be resolved, did not accept the connection, or took too long."""


class BranchNotFound(RepositoryError):
    """The repository does not have the branch that the run is to start from."""


class PushRejected(RepositoryError):
    """The code host refused the branch that the run pushed."""


class LargeFilesFailed(RepositoryError):
    """A file of Git LFS is not at the code host, or cannot be fetched from there or stored there."""


class WorkspaceBroken(RepositoryError):
    """The clone in the agent's workspace cannot be prepared, or its commits cannot be collected."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that the disk is full."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM
