"""Reasons why a run failed, in words for the person who started it.

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
    """A run cannot be completed. `message` is a sentence that a person can act on, sometimes followed by output."""

    def __init__(self, message: str, *, partial: "RunResult | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.partial = partial

    def with_message(self, message: str) -> Self:
        """Return a copy with another message."""
        return self._copy(message, self.partial)

    def with_partial(self, partial: "RunResult | None") -> Self:
        """Return a copy with the work that was done before the error."""
        return self._copy(self.message, partial)

    def _copy(self, message: str, partial: "RunResult | None") -> Self:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        AgentError.__init__(copy, message, partial=partial)
        return copy


class UnknownAdapter(AgentError):
    """The catalog has no adapter of that name."""


class CatalogInvalid(AgentError):
    """The operator's catalog cannot be read or has a wrong entry, which the message names. The process does not start."""


class AgentNotInstalled(AgentError):
    """The adapter's command is not on this worker; the message says how to install it."""


class AgentFailed(AgentError):
    """The agent answered the prompt with an error."""


class AgentStepFailed(AgentFailed):
    """A step of a runbook failed; the message ends with the step's last lines."""


class AgentCrashed(AgentError):
    """The agent's process ended before it answered, or broke the protocol."""


class SessionLost(AgentCrashed):
    """The agent ended while it resumed a conversation; it can still start a new one."""


class AgentTimedOut(AgentError):
    """The run used up its wall-clock limit."""


class AgentOverLimit(AgentError):
    """The run used more memory, processes or disk than it may."""


class AgentStopped(AgentError):
    """The run was stopped before its agent had finished."""


class AgentCancelled(AgentError):
    """People cancelled the run, or the last turn of its agent."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class BudgetSpent(AgentError):
    """The task has spent the budget of all its runs; the message names the amount and the unit."""


class OutputInvalid(AgentError):
    """The structured output is missing or does not match the schema, or the schema itself is not valid."""


class SandboxUnavailable(AgentError):
    """The sandbox that the operator requires by name does not work here."""


class EnvironmentUnavailable(AgentError):
    """The run's sandbox environment is not available; the run must not start without it."""


class PathRefused(AgentError):
    """A path is absolute, leads out of its folder, or passes a link that does."""


class RepositoryError(AgentError):
    """Cloning, committing or pushing failed."""


class RepositoryNotFound(RepositoryError):
    """The repository does not exist, or these credentials cannot see it."""


class RepositoryAccessDenied(RepositoryError):
    """The remote asked for credentials that we do not have, or refused them."""


class RepositoryUnreachable(RepositoryError):
    """The host could not be resolved, did not accept the connection, or took too long."""


class BranchNotFound(RepositoryError):
    """The repository has no such branch."""


class PushRejected(RepositoryError):
    """The remote refused the new branch."""


class LargeFilesFailed(RepositoryError):
    """The content of a file of Git LFS is not at the host, or cannot be fetched from it or stored there."""


class WorkspaceBroken(RepositoryError):
    """The repository in the workspace cannot be prepared or collected."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that the disk has no room left for a file."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM
