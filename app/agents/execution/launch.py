"""Starts the process of a run's agent, in the sandbox, with its home, environment and network."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any  # standard streams

import structlog

from app.agents.adapters.adapter import WorkspaceAccess
from app.agents.base.attachments import OWN_FOLDER
from app.agents.base.safe_paths import write_file
from app.agents.errors import SandboxUnavailable
from app.agents.execution.active_run import ActiveRun
from app.agents.network.network import Network
from app.agents.sandbox.sandbox import ConfinedProcess, confined_environment
from app.agents.session.conversation import Conversation
from app.agents.session.session import AgentSession
from app.agents.session.transport import LINE_LIMIT
from app.enums import SandboxKind

__all__ = ["launch"]

_LOGGER = structlog.get_logger(__name__)


async def launch(run: ActiveRun, conversation: Conversation, network: Network) -> AgentSession:
    """Return a session with a new agent process. Raises SandboxUnavailable, and errors of `before_agent`."""
    context, workspace, adapter = run.context, run.workspace, run.context.agent.adapter
    confinement = workspace.confinement(
        readable=(*adapter.readable, *run.installed.folders), read_only=_is_read_only(run)
    )
    await asyncio.to_thread(_furnish_home, run)
    environment = {
        **confined_environment(context.environment, confinement),
        **adapter.variables(context.agent.wishes, run.variables),
        **context.agent.variables,
    }
    if run.effects.before_agent is not None:
        await run.effects.before_agent()
    await run.progress("agent", f"Starting the agent '{adapter.name}' (sandbox: {context.sandbox.kind})")

    async def start(command: Sequence[str], variables: Mapping[str, str], **streams: Any) -> ConfinedProcess:
        process = await context.sandbox.start(
            command,
            confinement,
            {**environment, **variables},
            network=network.level,
            gateway=network.gateway,
            **streams,
        )
        return await workspace.watch.follow(process)

    async def start_command(command: Sequence[str], variables: Mapping[str, str]) -> ConfinedProcess:
        return await start(command, variables, stderr=asyncio.subprocess.STDOUT)

    process = await start(run.installed.command, {}, stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT)
    _LOGGER.info("run.agent_spawned", pid=process.pid)
    return AgentSession(
        process,
        adapter,
        workspace.work,
        emit=conversation.record,
        decide=conversation.decide,
        start_command=start_command,
        writable=None if confinement.directory_writable else workspace.work / OWN_FOLDER,
    )


def _is_read_only(run: ActiveRun) -> bool:
    agent = run.context.agent
    mode = agent.adapter.mode_rule(agent.wishes)
    read_only = mode is not None and mode.workspace is WorkspaceAccess.READ_ONLY
    if read_only and run.context.sandbox.kind is SandboxKind.NONE:
        raise SandboxUnavailable(
            f"The permission mode '{agent.wishes.mode}' of the agent '{agent.adapter.name}' needs a "
            "sandbox that keeps the workspace read-only, and this worker has none."
        )
    return read_only


def _furnish_home(run: ActiveRun) -> None:
    run.keeper.lay()
    agent = run.context.agent
    for path, content in agent.adapter.home_files(agent.wishes, run.variables).items():
        write_file(run.workspace.home, path, content.encode())
