"""The agent works in the prepared environment in which its work is checked."""

import json

import pytest

from app.agents.checks.check_context import Preparation
from app.agents.network.network import NetworkRules
from app.enums import CheckSource
from app.verification.definitions import CheckSet, Step
from tests.agents.checks.checking import needs
from tests.agents.conftest import Runner, scripted_adapter

SERVER = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "8765")
PAGE = "http://127.0.0.1:8765/prepared"


@needs("python3", "curl")
@pytest.mark.parametrize(("place", "served"), [("agent", "made\n"), ("terminal", "")])
async def test_commands_of_an_agent_reach_the_files_and_services_of_set_up(
    runner: Runner, place: str, served: str
) -> None:
    """Regression: beside services terminals were offered, in sandboxes from which no service could be reached."""
    serves = Step(run=SERVER, background=True, ready=("curl", "--fail", "--silent", PAGE), timeout_seconds=60)
    makes = Step(run=("sh", "-c", "echo made > prepared; echo at home > ~/prepared"))
    steps = (makes, serves) if served else (makes,)
    preparation = Preparation(
        places=[(CheckSource.PROJECT, CheckSet(setup=steps))],
        sandbox=runner.context.sandbox,
        setup_network=NetworkRules(),
        run_network=NetworkRules(),
    )

    outcome = await runner.run(
        f"cat prepared ~/prepared; curl --fail --silent {PAGE}",
        adapter=scripted_adapter("command"),
        preparation=preparation,
    )

    assert json.loads(outcome.done.summary) == [place, f"made\nat home\n{served}"]
