"""The agent works beside the services of set-up."""

import json
from typing import Any

import pytest

from app.agents.checks.check_context import Preparation
from app.agents.network.network import NetworkRules
from app.enums import CheckSource
from app.verification.definitions import CheckSet, Step
from tests.agents.conftest import Runner, scripted_adapter


@pytest.mark.parametrize("background", [True, False])
async def test_agent_beside_services_runs_its_commands_itself(runner: Runner, background: bool) -> None:
    """Regression: its terminals were offered, in sandboxes from which no service could be reached."""
    step = Step(run=("sleep", "3600" if background else "0"), background=background)
    preparation = Preparation(
        places=[(CheckSource.PROJECT, CheckSet(setup=(step,)))],
        sandbox=runner.context.sandbox,
        setup_network=NetworkRules(),
        run_network=NetworkRules(),
    )
    asked: list[dict[str, Any]] = [{"method": "terminal/create", "params": {"command": "true"}}]

    outcome = await runner.run(
        json.dumps(asked), adapter=scripted_adapter("requests"), preparation=preparation
    )

    [answer] = json.loads(outcome.done.summary)
    assert (answer is None) is background
