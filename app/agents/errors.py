"""Why a run did not end well, in words for the person who started it.

AgentError                          `message` goes to the run's `error_message`; `partial` keeps what was there
├── UnknownAdapter                  no adapter of that name in the catalog
├── CatalogInvalid                  the operator's catalog of adapters is not valid
├── AgentNotInstalled               the adapter's command is not on this worker
├── AgentFailed                     the agent itself said that it could not do the work
│   └── AgentStepFailed             a step of a runbook ended badly; its last lines are in the message
├── AgentCrashed                    the agent's process ended, or spoke something that is not the protocol
│   └── SessionLost                 … when it was to take up a conversation of an earlier run
├── AgentTimedOut                   the wall-clock limit of the run passed
├── AgentOverLimit                  the run used more than its share of memory, processes or disk
├── BudgetSpent                     the task has used up the tokens or the money that it may use
├── AgentStopped                    the run was to be stopped
├── AgentCancelled                  people cancelled what the agent was doing
├── OutputInvalid                   the structured output is missing, not JSON, or not what the schema asks for
├── SandboxUnavailable              the sandbox that the operator asked for does not work on this machine
├── EnvironmentUnavailable          the run's sandbox environment is gone, or its variables cannot be read
├── PathRefused                     a path leads out of the workspace
└── RepositoryError                 git, before or after the agent worked
    ├── RepositoryNotFound          nothing there, or nothing that we may see
    ├── RepositoryAccessDenied      the remote refused our credentials
    ├── RepositoryUnreachable       the host did not answer
    ├── BranchNotFound              the base branch is not in the repository
    ├── PushRejected                the remote did not take the new branch
    ├── LargeFilesFailed            a file of Git LFS cannot be fetched, or the new content of one not be stored
    └── WorkspaceBroken             what the agent left cannot be made into a commit

No message ever holds the credentials of a clone URL.
"""

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.agents.result import RunResult

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

# The JSON-RPC error code by which an agent reports that one of its steps failed (the runbook agent does).
STEP_FAILED = -32051


class AgentError(Exception):
    """A run that cannot be completed; `message` is a sentence (and perhaps some output) a human can act on."""

    def __init__(self, message: str, *, partial: "RunResult | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.partial = partial


class UnknownAdapter(AgentError):
    """The catalog has no adapter of that name."""


class CatalogInvalid(AgentError):
    """The operator's catalog cannot be read or has a wrong entry; the message names it. Ends the start of a process."""


class AgentNotInstalled(AgentError):
    """The adapter's command is not on this worker; the message says how to install it."""


class AgentFailed(AgentError):
    """The agent answered the prompt with an error."""


class AgentStepFailed(AgentFailed):
    """A step ended with an error; the message ends with the step's last lines."""


class AgentCrashed(AgentError):
    """The agent's process ended before it answered, or broke the protocol."""


class SessionLost(AgentCrashed):
    """The agent ended when it was to take up a conversation; it can still start a new one."""


class AgentTimedOut(AgentError):
    """The run used up its wall-clock limit."""


class AgentOverLimit(AgentError):
    """The run used more memory, processes or disk than it may."""


class AgentStopped(AgentError):
    """The run was to end before its agent was done."""


class AgentCancelled(AgentError):
    """People cancelled the run, or the last turn of its agent."""

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class BudgetSpent(AgentError):
    """The task has used what all its runs together may use; the message says how much of what."""


class OutputInvalid(AgentError):
    """The structured output is missing or does not fit; also when the schema itself is not one."""


class SandboxUnavailable(AgentError):
    """The confinement that was asked for by name cannot be had here."""


class EnvironmentUnavailable(AgentError):
    """The sandbox environment that the run was to have cannot be had: it must not run without it."""


class PathRefused(AgentError):
    """A path is absolute, climbs out of its folder, or runs through a link that does."""


class RepositoryError(AgentError):
    """Cloning, committing or pushing failed."""


class RepositoryNotFound(RepositoryError):
    """There is no such repository, or none that these credentials may see."""


class RepositoryAccessDenied(RepositoryError):
    """The remote asked for credentials that we do not have, or refused them."""


class RepositoryUnreachable(RepositoryError):
    """The host could not be resolved, did not accept the connection, or took too long."""


class BranchNotFound(RepositoryError):
    """The repository has no such branch."""


class PushRejected(RepositoryError):
    """The remote refused the new branch."""


class LargeFilesFailed(RepositoryError):
    """The content of a file of Git LFS is not at the host, does not come from there, or does not get there."""


class WorkspaceBroken(RepositoryError):
    """The repository in the workspace cannot be prepared or collected."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that there is no room left for a file."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM
