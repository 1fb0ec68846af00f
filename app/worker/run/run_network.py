"""Decides the networks of a run: which hosts its agent, the set-up of its checks and its MCP servers may reach.

No level is above the operator's ceiling, `settings.network_ceiling`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from app.agents.errors import EnvironmentUnavailable
from app.agents.network.domains import TRUSTED_DOMAINS
from app.agents.network.network_access import NetworkRules
from app.agents.network.proxy import Allowance, Service
from app.agents.session.agent_session import McpServer
from app.config import Settings
from app.enums import AgentNetwork, NetworkAccessLevel, SandboxKind
from app.runtime import ProcessContext
from app.security.secrets import DecryptionError
from app.services.check_sources.check_sets import warn_of_networks
from app.services.runs.run_spec import SpecEnvironment
from app.services.sandbox_environments import effective_domains

_SERVERS: TypeAdapter[list[McpServer]] = TypeAdapter(list[McpServer])


def network_rules(settings: Settings, environment: SpecEnvironment | None, *, is_named: bool) -> NetworkRules:
    """Return the network level and hosts of a run's sandbox environment; if the run names none, those of the settings.

    The level is at most `settings.network_ceiling`; if it was lowered, `note` says so. Raises EnvironmentUnavailable.
    """
    domains: Sequence[str] = TRUSTED_DOMAINS
    if environment is not None:
        access = environment.network_access_level
        requested = AgentNetwork.TRUSTED if access is NetworkAccessLevel.CUSTOM else AgentNetwork(access)
        domains = effective_domains(
            access, environment.allowed_domains, include_defaults=environment.include_default_domains
        )
    elif is_named:
        raise EnvironmentUnavailable(
            "The sandbox environment of this run was deleted, or is another person's own. Start the run again with "
            "another one."
        )
    else:
        requested = settings.agent_network
    level = requested.at_most(settings.network_ceiling)
    capped = f"The run's environment asks for the network level '{requested}'; this service gives '{level}' at most."
    return NetworkRules(
        level=level,
        # A level lowered from `full` has no list of domains.
        domains=domains if requested is not AgentNetwork.FULL else TRUSTED_DOMAINS,
        services=[Service.parse(text) for text in settings.agent_network_services],
        unenforced=settings.agent_network_unenforced,
        note=capped if level is not requested else "",
    )


def setup_rules(
    settings: Settings, environment: SpecEnvironment | None, network: NetworkRules, *, sandbox: SandboxKind
) -> NetworkRules:
    """Return the network of the set-up of checks: `trusted`, or the ceiling below it, whatever the agent's level is."""
    access = environment.network_access_level if environment else NetworkAccessLevel.TRUSTED
    is_listed = access in (NetworkAccessLevel.TRUSTED, NetworkAccessLevel.CUSTOM)
    return replace(
        network,
        level=AgentNetwork.TRUSTED.at_most(settings.network_ceiling),
        domains=network.domains if is_listed else TRUSTED_DOMAINS,
        note=" ".join(warn_of_networks(settings, sandbox)),
    )


async def admit_mcp_servers(
    process: ProcessContext, encrypted: str | None, network: NetworkRules
) -> tuple[Sequence[McpServer], NetworkRules]:
    """Return the imported MCP servers that a run gets, and its network opened to them. Raises EnvironmentUnavailable.

    Servers whose addresses are not public are left out, and counted in the note of the network.
    """
    if encrypted is None:
        return (), network
    destinations, ceiling = process.destinations, process.settings.network_ceiling
    try:
        requested = _SERVERS.validate_json(process.cipher.decrypt(encrypted))
    except DecryptionError:
        raise EnvironmentUnavailable(
            "The MCP servers of this run cannot be decrypted: the secret that they were kept with is not among "
            "TASKBEACON_SECRET_KEYS any more. Start the run again."
        ) from None
    refused = await asyncio.gather(*(destinations.refuses(server.url) for server in requested))
    servers = [server for server, is_refused in zip(requested, refused, strict=True) if not is_refused]
    note = f"Imported MCP servers that are left out, since their addresses are not public: {sum(refused)}"
    # The run's own level does not matter, since its person could choose a private environment with `trusted`.
    may_open = AgentNetwork.TRUSTED.at_most(ceiling) is AgentNetwork.TRUSTED
    imported = [Service.parse(server.url) for server in servers] if may_open else []
    return servers, replace(
        network,
        imported=Allowance(servers=imported, policy=destinations.policy),
        note=" ".join(filter(None, (network.note, note if any(refused) else ""))),
    )
