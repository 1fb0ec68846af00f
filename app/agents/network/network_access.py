"""Opens the network access of one agent, by its level of `AgentNetwork`.

The proxy (proxy.py) is the only way out under bubblewrap. Under other kinds of sandbox agents can bypass it, so
`model-only` and `trusted` are refused there unless the operator accepts that. Landlock at `none` could open the port
of the agent's tools only for every host, so does not.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.agents.errors import SandboxUnavailable
from app.agents.network.proxy import HEAD_BYTES, Allowance, Egress, Report, Service
from app.agents.sandbox.confinement import ABI_WITH_PORTS, ABI_WITH_SCOPES, Sandbox
from app.agents.sandbox.policy import Gateway
from app.coroutines.shielded import shielded
from app.enums import AgentNetwork, SandboxKind

_SOCKET = "egress"
_PROXY_PORT = 3128


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRules:
    """The network level that a run requests, and the hosts that its agent may reach at that level."""

    level: AgentNetwork = AgentNetwork.NONE
    domains: Sequence[str] = ()  # host names, for TRUSTED
    services: Sequence[Service] = ()  # servers that the operator named, for TRUSTED
    imported: Allowance = field(default_factory=Allowance)  # MCP servers of the request, also for MODEL_ONLY
    unenforced: bool = False  # the operator accepts a sandbox in which agents can bypass the proxy
    note: str = ""  # for followers of the run


@dataclass(frozen=True, slots=True)
class Network:
    """The network access that an agent actually has; `gateway` is None if it has no proxy."""

    level: AgentNetwork
    gateway: Gateway | None = None
    # Whether the agent can reach the server of its tools.
    has_tools: bool = False


@asynccontextmanager
async def open_network(
    rules: NetworkRules,
    *,
    model_url: str | None,
    sandbox: Sandbox,
    folder: Path,
    report: Report,
    tools: Service | None = None,
) -> AsyncIterator[Network]:
    """Open an agent's network during the block, with `tools` and a socket in `folder`. Raises SandboxUnavailable."""
    if rules.note:
        await report(rules.note)
    kind = sandbox.kind
    allowance, level = allowance_of(rules, model_url), rules.level
    if allowance is None:
        is_full = level is AgentNetwork.FULL
        level = AgentNetwork.FULL if is_full else AgentNetwork.NONE
        if is_full:
            _require_own_names(sandbox)
        await report(_describe(level, sandbox))
        if tools is None or is_full or kind is not SandboxKind.BUBBLEWRAP:
            yield Network(level, has_tools=tools is not None and (is_full or kind is SandboxKind.NONE))
            return
        allowance = Allowance()
    else:
        if kind is not SandboxKind.BUBBLEWRAP:
            await _require_consent(rules, kind, report)
        await report(_describe_allowance(level, allowance, has_model=bool(model_url)))
    if tools is not None:
        allowance = replace(allowance, services=(*allowance.services, tools))
    async with serve_proxy(allowance, kind, folder, report) as (_, gateway):
        yield Network(level, gateway, has_tools=tools is not None)


@asynccontextmanager
async def serve_proxy(
    allowance: Allowance, kind: SandboxKind, folder: Path, report: Report
) -> AsyncIterator[tuple[Egress, Gateway]]:
    """Serve a proxy for the processes of one sandbox during the block; `folder` is for its socket."""
    egress = Egress(allowance, report)
    listener, gateway = _listen(kind, folder, (*allowance.services, *allowance.servers))
    server = await _create_server(egress, listener)
    try:
        await server.start_serving()
        yield egress, gateway
    finally:
        server.close()
        await shielded(egress.aclose())
    if egress.refused:
        await report(f"{egress.refused} attempts to reach other hosts were refused.")


def allowance_of(rules: NetworkRules, model_url: str | None = None) -> Allowance | None:
    """Return where a proxy connects for these rules; None if they need none."""
    model = [Service.parse(model_url)] if model_url else []
    match rules.level:
        case AgentNetwork.TRUSTED:
            return replace(rules.imported, domains=rules.domains, services=(*model, *rules.services))
        case AgentNetwork.MODEL_ONLY if model:
            return replace(rules.imported, services=model)
        case _:
            return None


def _describe(level: AgentNetwork, sandbox: Sandbox) -> str:
    if level is AgentNetwork.FULL:
        return "Network: full, everything that the worker reaches"
    if sandbox.kind is SandboxKind.NONE:
        return "Network: none asked for, but without a sandbox nothing keeps the agent from it"
    if sandbox.kind is SandboxKind.LANDLOCK and sandbox.landlock_abi < ABI_WITH_PORTS:
        return "Network: none; this sandbox needs Linux 6.7 to keep the agent from TCP"
    return "Network: none"


def _describe_allowance(level: AgentNetwork, allowance: Allowance, *, has_model: bool) -> str:
    parts = [f"{allowance.services[0].host} (the model)"] if has_model else []
    if listed := len(allowance.domains) + len(allowance.services) - len(parts):
        parts.append(f"{listed} listed hosts")
    if allowance.servers:
        parts.append(f"imported MCP servers ({len(allowance.servers)})")
    return f"Network: {level}, through a proxy: {' and '.join(parts)}"


def _require_own_names(sandbox: Sandbox) -> None:
    has_names = sandbox.kind is SandboxKind.BUBBLEWRAP and sandbox.landlock_abi < ABI_WITH_SCOPES
    if has_names and os.geteuid() == 0:
        raise SandboxUnavailable(
            "A worker that is root gives no agent the network level 'full' before Linux 6.12: the agent could connect "
            "as root to abstract UNIX sockets of the machine. Run the worker as an ordinary user."
        )


async def _require_consent(rules: NetworkRules, kind: SandboxKind, report: Report) -> None:
    lack = "without a sandbox nothing keeps agents from the network"
    if kind is SandboxKind.LANDLOCK:
        lack = "the sandbox 'landlock' knows ports only, not hosts"
    if not rules.unenforced:
        raise SandboxUnavailable(
            f"The network level '{rules.level}' cannot be enforced on this worker: {lack}. Install bubblewrap, or "
            "let the operator accept that (TASKBEACON_AGENT_NETWORK_UNENFORCED)."
        )
    await report(f"The network level '{rules.level}' is not enforced: {lack}.")


def _listen(kind: SandboxKind, folder: Path, services: Sequence[Service]) -> tuple[socket.socket, Gateway]:
    local = {service.port: service.authority for service in services if service.is_loopback}
    if kind is not SandboxKind.BUBBLEWRAP:
        listener = socket.create_server(("127.0.0.1", 0))
        # The agent shares this machine's loopback, so it can reach these servers directly.
        return listener, Gateway(port=listener.getsockname()[1], open_ports=tuple(local))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # An earlier sandbox of the run may have left its socket.
        with suppress(FileNotFoundError):
            os.unlink(_SOCKET, dir_fd=descriptor)
        # The path of a socket has at most 107 characters, which a workspace's may exceed.
        listener.bind(f"/proc/self/fd/{descriptor}/{_SOCKET}")
        listener.listen()
    except OSError:
        listener.close()
        raise
    finally:
        os.close(descriptor)
    port = next(port for port in range(_PROXY_PORT, 2**16) if port not in local)
    return listener, Gateway(port=port, socket=folder / _SOCKET, tunnels=local)


async def _create_server(egress: Egress, listener: socket.socket) -> asyncio.Server:
    # Serving begins later: starting it awaits, and a cancellation here would leave the listener open.
    start = asyncio.start_unix_server if listener.family is socket.AF_UNIX else asyncio.start_server
    return await start(egress.accept, sock=listener, limit=HEAD_BYTES, start_serving=False)
