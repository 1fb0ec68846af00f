"""Checks the agents of a machine: which are installed, and which complete a handshake in the sandbox.

Calls no model and needs no key.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from acp.schema import InitializeResponse

from app.agents.adapters.adapter import Adapter, AgentOptions
from app.agents.adapters.installation import Installed, find_installed
from app.agents.errors import AgentError, AgentNotInstalled
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.sandbox import Sandbox, Streams, confined_environment
from app.agents.session.client import Answer, PermissionRequest
from app.agents.session.session import AgentSession
from app.agents.session.transport import LINE_LIMIT, Message
from app.enums import AgentNetwork
from app.shielded import shielded

_HANDSHAKE_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The state of one agent: where its program is, and whether it completed a handshake of the protocol."""

    name: str
    program: str | None = None  # None: not installed
    version: str | None = None  # as the agent reports it
    answers: bool = False
    problem: str | None = None  # why it is not installed, or does not complete the handshake


async def inspect_agent(
    adapter: Adapter, sandbox: Sandbox, environment: Mapping[str, str], agents: Path | None
) -> Finding:
    """Start an agent in a sandbox and initialize the protocol; return what was found, also of a broken one."""
    try:
        installed = find_installed(adapter, environment, agents)
    except AgentNotInstalled as error:
        return Finding(name=adapter.name, problem=error.message)
    found = Finding(name=adapter.name, program=installed.program)
    try:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            answer = await _initialize(adapter, installed, sandbox, environment)
    except AgentError as error:
        return _with_problem(found, error.message)
    except TimeoutError:
        return _with_problem(found, f"It did not answer within {_HANDSHAKE_SECONDS} seconds.")
    version = answer.agent_info.version if answer.agent_info else None
    return Finding(name=found.name, program=found.program, version=version, answers=True)


def _with_problem(found: Finding, problem: str) -> Finding:
    return Finding(name=found.name, program=found.program, problem=problem)


async def _initialize(
    adapter: Adapter, installed: Installed, sandbox: Sandbox, environment: Mapping[str, str]
) -> InitializeResponse:
    with TemporaryDirectory(prefix="taskbeacon-agent-") as name:
        confinement = _make_folders(Path(name), (*adapter.readable, *installed.folders))
        process = await sandbox.start(
            installed.command,
            confinement,
            confined_environment(environment, confinement) | adapter.variables(AgentOptions(), {}),
            network=AgentNetwork.NONE,
            streams=Streams(stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT),
        )
        session = AgentSession(process, adapter, confinement.directory, emit=_ignore, decide=_refuse)
        try:
            return await session.initialize()
        finally:
            with suppress(TimeoutError):
                await shielded(session.close(at_once=True))


def _make_folders(root: Path, readable: tuple[Path, ...]) -> Confinement:
    root = root.resolve()
    for place in ("work", "home", "tmp"):
        (root / place).mkdir()
    return Confinement(directory=root / "work", home=root / "home", temporary=root / "tmp", readable=readable)


async def _ignore(_entry: Message) -> None:
    pass


async def _refuse(_question: PermissionRequest) -> Answer | None:
    return None
