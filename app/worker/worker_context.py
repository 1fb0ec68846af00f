"""The resources that one worker process shares among its jobs, and how a job gets them from arq."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.agents.git.mirrors import Mirrors
from app.agents.sandbox.confinement import Sandbox
from app.agents.session.command_source import CANCEL_SECONDS, CLOSE_SECONDS, INTERRUPT_SECONDS
from app.agents.workspace.folders import FolderRemover
from app.agents.workspace.run_workspace import Workspaces
from app.agents.workspace.work_bundle import GATHER
from app.clients.wakes import WakeListener
from app.runtime import ProcessContext
from app.services.code_hosts.host_credentials import CodeHosts
from app.services.retrying.policies import RUN_FILES_BRIEF_SECONDS
from app.worker.slots import RunSlots

_KEY = "taskbeacon"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    # The interval of polling for commands, so that they are only delayed if wake-ups are lost in an outage of Redis.
    poll: float = 10.0
    # The interval at which the usage of the run is stored, and the usage of the task's other runs is read.
    usage: float = 3.0
    # For storing the files of a run that is cancelled or handed back while the store is away.
    brief_store: float = RUN_FILES_BRIEF_SECONDS
    # The time for an agent to end a turn that is interrupted or cancelled, and to end itself.
    interrupt: float = INTERRUPT_SECONDS
    cancel: float = CANCEL_SECONDS
    close: float = CLOSE_SECONDS
    # For a scan of a repository.
    scan: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """The resources that a worker opens at its start and all its jobs share."""

    process: ProcessContext
    sandbox: Sandbox
    changes: WakeListener
    code_hosts: CodeHosts
    # None: every run makes a full clone.
    mirrors: Mirrors | None
    # The worker's environment variables, from which an adapter's allow-list picks.
    environment: Mapping[str, str]
    # The slots of the runs that this process performs.
    slots: RunSlots = field(default_factory=lambda: RunSlots(0))
    # Removes the folders of runs in the background.
    remover: FolderRemover = field(default_factory=FolderRemover)
    run_times: RunTimes = RunTimes()
    gather: str = GATHER  # the shell program that gathers the work of a run, in the sandbox

    @property
    def workspaces(self) -> Workspaces:
        settings = self.process.settings
        return Workspaces(
            root=settings.workspaces_path,
            environment=self.environment,
            remover=self.remover,
            hidden=(settings.home.absolute(),),
            mirrors=self.mirrors,
        )

    def as_arq_context(self) -> dict[str, Any]:
        return {_KEY: self}


def worker_context(ctx: Mapping[str, Any]) -> WorkerContext:
    context: WorkerContext = ctx[_KEY]
    return context
