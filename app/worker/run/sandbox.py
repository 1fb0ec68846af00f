"""The network rules and variables of a run's agent, by its environment and the settings (contract 5.8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from app.agents.errors import EnvironmentUnavailable
from app.agents.network.domains import TRUSTED_DOMAINS
from app.agents.network.network import NetworkRules
from app.agents.network.proxy import Service
from app.config import Settings
from app.enums import AgentNetwork, NetworkAccessLevel
from app.security import Cipher, DecryptionError
from app.services.sandbox_environments import effective_domains
from app.statements import Fields

_LEVELS = {
    NetworkAccessLevel.NONE: AgentNetwork.NONE,
    NetworkAccessLevel.MODEL_ONLY: AgentNetwork.MODEL_ONLY,
    NetworkAccessLevel.TRUSTED: AgentNetwork.TRUSTED,
    NetworkAccessLevel.CUSTOM: AgentNetwork.TRUSTED,
    NetworkAccessLevel.FULL: AgentNetwork.FULL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSandbox:
    """The network level, hosts and encrypted variables of the sandbox environment that a run names.

    If the run names none, `environment_id` and `level` are None, and `network` uses the settings of the service.
    `level` is also None if the sandbox environment was deleted or belongs to another person.
    """

    environment_id: UUID | None = None  # None if the run names no environment
    level: NetworkAccessLevel | None = None  # None if the run names no environment, or one that is gone
    domains: tuple[str, ...] = ()
    encrypted_variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def network(self, settings: Settings) -> NetworkRules:
        """Return the network level and hosts of the sandbox environment; if the run has none, those of the settings.

        The returned level is never wider than `settings.network_ceiling`, the limit that the operator has set. If the
        level was lowered, `note` of the result says so.
        """
        if self.environment_id is None:
            asked, domains = settings.agent_network, TRUSTED_DOMAINS
        elif self.level is None:
            raise EnvironmentUnavailable(
                "The sandbox environment of this run was deleted, or is another person's own. Start the run again with "
                "another one."
            )
        else:
            asked, domains = _LEVELS[self.level], self.domains
        level = asked.at_most(settings.network_ceiling)
        capped = f"The run's environment asks for the network level '{asked}'; this service gives '{level}' at most."
        return NetworkRules(
            level=level,
            # A level lowered from `full` has no list of domains.
            domains=domains if asked is not AgentNetwork.FULL else TRUSTED_DOMAINS,
            services=[Service.parse(text) for text in settings.agent_network_services],
            unenforced=settings.agent_network_unenforced,
            note=capped if level is not asked else "",
        )

    def variables(self, cipher: Cipher) -> dict[str, str]:
        """Return the environment variables that the sandbox environment defines for the agent, decrypted."""
        try:
            return {name: cipher.decrypt(value) for name, value in self.encrypted_variables.items()}
        except DecryptionError:
            raise EnvironmentUnavailable(
                "The variables of the run's sandbox environment cannot be decrypted: the secret that they were kept "
                "with is not among TASKBEACON_SECRET_KEYS any more. Enter them again."
            ) from None


def run_sandbox(row: Fields) -> RunSandbox:
    """Return the sandbox environment of a run. `row` is the run's row, as `read_claimed_run` returns it."""
    if row["network_access_level"] is None:
        return RunSandbox(environment_id=row["sandbox_environment_id"])
    level = NetworkAccessLevel(row["network_access_level"])
    domains = effective_domains(
        level, row["allowed_domains"], include_defaults=row["include_default_domains"]
    )
    return RunSandbox(
        environment_id=row["sandbox_environment_id"],
        level=level,
        domains=tuple(domains),
        encrypted_variables=row["encrypted_variables"],
    )
