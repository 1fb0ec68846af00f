"""A run in progress: what its steps share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from app.agents.adapters.installation import Installed
from app.agents.execution.context import RunContext, RunEffects
from app.agents.execution.stopping import hurried
from app.agents.git.command import Remote
from app.agents.session.run_clock import WorkingTime
from app.agents.session.transcript import notification
from app.agents.workspace.kept_session import SessionKeeper
from app.agents.workspace.workspace import Workspace
from app.masking import Masker

__all__ = ["ActiveRun"]

_LOGGER = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class ActiveRun:
    """One run in progress."""

    context: RunContext
    effects: RunEffects  # `emit` masks secrets and folders
    installed: Installed
    workspace: Workspace
    masker: Masker
    time: WorkingTime
    keeper: SessionKeeper
    is_prepared: bool = False
    summary: str = ""  # the agent's last message

    async def progress(self, step: str, message: str) -> None:
        """Log a step of the run."""
        _LOGGER.info("run.step", step=step, detail=message)
        await self.effects.emit(notification("_taskbeacon/progress", {"step": step, "message": message}))

    async def remote(self) -> Remote | None:
        """Return the origin with a fresh credential: the one of the clone may have expired by the push.

        None for a run without a repository. Raises a RepositoryError.
        """
        repository = self.context.repository
        if repository.clone_url is None:
            return None
        remote = Remote.parse(repository.clone_url)
        if repository.credential is None or not remote.is_http:
            return remote
        return replace(remote, credential=await repository.credential() or remote.credential)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the adapter picks from; the run's own go to its agent in any case."""
        return {**self.context.environment, **self.context.agent.variables}

    @asynccontextmanager
    async def within_limits(self) -> AsyncIterator[None]:
        """Hold what comes after the agent to the run's limits, and end it soon after the run is to stop.

        Gathered work may take as much of the disk as the agent's own files did. Raises AgentOverLimit or AgentStopped.
        """
        policy, watch = self.context.sandbox.policy, self.workspace.watch
        async with hurried(self.effects.stop), watch.limiting(policy, disk_bytes=2 * policy.disk_bytes):
            yield
