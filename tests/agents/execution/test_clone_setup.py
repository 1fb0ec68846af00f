"""The agent works in the prepared environment in which its work is checked."""

import json
import shlex

import pytest

from app.agents.check_execution.check_context import Preparation
from app.agents.network.network_access import NetworkRules
from app.enums import CheckSource
from app.verdicts.definitions import CheckSet, Step
from tests.agents.check_execution.checking import needs
from tests.agents.conftest import Runner, scripted_adapter

SERVER = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "8765")
PAGE = "http://127.0.0.1:8765/prepared"
ASK = ("curl", "--fail", "--silent", "http://127.0.0.1:8765/")


def prepared_by(runner: Runner, *setup: Step) -> Preparation:
    return Preparation(
        places=[(CheckSource.PROJECT, CheckSet(setup=setup))],
        sandbox=runner.context.sandbox,
        setup_network=NetworkRules(),
        run_network=NetworkRules(),
    )


@needs("python3", "curl")
@pytest.mark.parametrize(("place", "served"), [("agent", "made\n"), ("terminal", "")])
async def test_commands_of_an_agent_reach_the_files_and_services_of_set_up(
    runner: Runner, place: str, served: str
) -> None:
    """Regression: beside services terminals were offered, in sandboxes from which no service could be reached."""
    serves = Step(run=SERVER, background=True, ready=ASK, timeout_seconds=60)
    makes = Step(run=("sh", "-c", "echo made > prepared; echo at home > ~/prepared"))

    outcome = await runner.run(
        f"cat prepared ~/prepared; curl --fail --silent {PAGE}",
        adapter=scripted_adapter("command"),
        preparation=prepared_by(runner, *((makes, serves) if served else (makes,))),
    )

    assert json.loads(outcome.done.summary) == [place, f"made\nat home\n{served}"]


@needs("python3", "curl")
async def test_service_that_cannot_start_a_second_time_is_named_in_the_log(runner: Runner) -> None:
    """Regression: the agent worked without it, as beside a database that was made before, and nothing said so."""
    once = f"mkdir ~/database; exec {shlex.join(SERVER)}"
    serves = Step(shell=once, background=True, ready=ASK, timeout_seconds=60)

    outcome = await runner.run(
        "echo done", adapter=scripted_adapter("command"), preparation=prepared_by(runner, serves)
    )

    assert json.loads(outcome.done.summary) == ["agent", "done\n"]
    said = [entry["notification"]["params"].get("message", "") for entry in outcome.entries]
    assert f"The agent works without {once}: it ended with exit code 1" in said


async def test_files_of_set_up_that_cannot_be_listed_are_in_the_log(runner: Runner) -> None:
    """Regression: they became part of the work, and nothing said so."""
    breaks = Step(run=("sh", "-c", "echo made > left; echo broken > .git/index"))

    outcome = await runner.run(
        "true", adapter=scripted_adapter("command"), preparation=prepared_by(runner, breaks)
    )

    said = [entry["notification"]["params"].get("message", "") for entry in outcome.entries]
    assert "What the set-up left behind may be part of the work." in said
