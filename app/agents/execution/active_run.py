"""The state that the steps of a run in progress share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog

from app.agents.adapters.installation import Installed
from app.agents.errors import AgentStopped
from app.agents.execution.run_context import RunContext, RunEffects
from app.agents.git.fetch import Source
from app.agents.masking import Masker
from app.agents.session.run_clock import WorkingTime
from app.agents.workspace.kept_session import SessionKeeper
from app.agents.workspace.run_workspace import Workspace
from app.coroutines.periodic import alongside
from app.dialogue.agent_reports import progress_entry
from app.verdicts.agent_claims import AgentClaim
from app.verdicts.definitions import Definitions

log = structlog.get_logger(__name__)
# For a run that was stopped before: in a large repository, gathering its work takes more than two seconds.
_STOP_SECONDS_FROM_THE_START = 10.0
_STOPPED = "The run was stopped."


@dataclass(slots=True)
class ToolUse:
    """The token of an agent's tools, and what the agent has reported with them of its work."""

    token: str = field(repr=False)  # a secret, which is masked in what the run emits
    claims: tuple[AgentClaim, ...] = ()


@dataclass(slots=True, kw_only=True)
class ActiveRun:
    """A run that this worker performs now: its context and effects (see RunEffects), and state that its steps share."""

    context: RunContext
    effects: RunEffects  # `emit` masks secrets and folders
    installed: Installed
    workspace: Workspace
    masker: Masker
    time: WorkingTime
    keeper: SessionKeeper
    tools: ToolUse
    # The set-up steps and checks of its work; None until it has a clone.
    definitions: Definitions | None = None
    summary: str = ""  # the agent's last message

    @property
    def is_prepared(self) -> bool:
        return self.definitions is not None

    async def progress(self, step: str, message: str) -> None:
        log.info("run.step", step=step, detail=message)
        await self.effects.emit(progress_entry(step, message))

    async def source(self) -> Source | None:
        """Return the remote with a new credential, since the clone's may have expired. Raises RepositoryError."""
        source, credential = self.context.repository.source, self.context.repository.credential
        if source is None or credential is None or not source.remote.is_http:
            return source
        fresh = await credential() or source.remote.credential
        return replace(source, remote=replace(source.remote, credential=fresh))

    @property
    def variables(self) -> dict[str, str]:
        """All environment variables of the worker and of the run. The adapter selects those that the agent gets."""
        return {**self.context.environment, **self.context.agent.variables}

    @asynccontextmanager
    async def within_limits(self) -> AsyncIterator[None]:
        """Enforce the limits while the ended agent's work is gathered, with twice the disk.

        Raises AgentOverLimit, and AgentStopped if the block does not end within two seconds of a stop. A run that was
        stopped before has ten seconds.
        """
        policy, stop = self.context.sandbox.policy, self.effects.stop
        seconds = _STOP_SECONDS_FROM_THE_START if stop.is_set() else self.context.limits.stop_seconds
        enforced = self.workspace.monitor.enforce(policy, disk_bytes=2 * policy.disk_bytes)
        async with _limit_after_stop(stop, seconds), enforced:
            yield


@asynccontextmanager
async def until_stopped(stop: asyncio.Event) -> AsyncIterator[None]:
    """Cancel the block when `stop` is set. Raises AgentStopped, also if the block was complete at that moment."""
    if stop.is_set():
        raise AgentStopped(_STOPPED)
    async with _limit_after_stop(stop, 0):
        yield


@asynccontextmanager
async def _limit_after_stop(stop: asyncio.Event, seconds: float) -> AsyncIterator[None]:
    limit = asyncio.timeout(None)

    async def shorten() -> None:
        await stop.wait()
        limit.reschedule(asyncio.get_running_loop().time() + seconds)

    try:
        async with limit, alongside(shorten()):
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise AgentStopped(_STOPPED) from None
