"""The network of a run: its environment's level and hosts, up to what the operator allows (contract 9.2)."""

import pytest
from pydantic import ValidationError

from app.agents.network.domains import TRUSTED_DOMAINS
from app.agents.network.proxy import Service
from app.enums import NetworkAccessLevel
from app.worker.run.run_network import network_rules
from tests.worker.run.test_run_context_loader import environment, settings_of


@pytest.mark.parametrize(
    ("asked", "settings", "level"),
    [
        (None, {}, "model-only"),
        (None, {"agent_network": "none"}, "none"),
        (None, {"agent_network": "full"}, "full"),
        ("none", {"agent_network": "full"}, "none"),
        ("model-only", {}, "model-only"),
        ("trusted", {}, "trusted"),
        ("custom", {}, "trusted"),
        ("trusted", {"agent_network": "none", "agent_network_ceiling": "model-only"}, "model-only"),
        ("full", {}, "trusted"),
        ("full", {"agent_network_ceiling": "full"}, "full"),
        ("full", {"agent_network": "full"}, "full"),
        ("full", {"agent_network": "none", "agent_network_ceiling": "none"}, "none"),
    ],
)
def test_level_is_what_is_asked_for_up_to_the_operators_ceiling(
    asked: str | None, settings: dict[str, str], level: str
) -> None:
    named = environment(NetworkAccessLevel(asked)) if asked else None

    rules = network_rules(settings_of(**settings), named, is_named=asked is not None)

    assert rules.level == level
    lowered = asked is not None and level != ("trusted" if asked == "custom" else asked)
    assert bool(rules.note) is lowered


def test_hosts_are_those_of_the_environment_and_of_the_operator() -> None:
    settings = settings_of(agent_network_services="mirror.internal:8080, registry.internal")
    services = [Service("mirror.internal", 8080), Service("registry.internal", 443)]

    rules = network_rules(settings, environment(NetworkAccessLevel.CUSTOM), is_named=True)
    assert (list(rules.domains), rules.services) == (["api.example.com"], services)
    assert list(network_rules(settings, None, is_named=False).domains) == list(TRUSTED_DOMAINS)


@pytest.mark.parametrize(
    "values",
    [
        {"agent_network": "full", "agent_network_ceiling": "trusted"},
        {"agent_network_services": "http://mirror.internal"},
        {"agent_network_services": "mirror.internal:99:1"},
        {"agent_network": "custom"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings_of(**values)
