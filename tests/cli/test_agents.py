"""`taskbeacon agents`: what is there, as a table and as JSON."""

import json
import os
from dataclasses import replace
from pathlib import Path

from app.agents.inspection.sandbox_check import Attempt
from tests.cli.conftest import Taskbeacon

GHOST = """
[adapters.ghost]
command = ["no-such-program"]
install = "Call a medium."
"""


def test_agents_are_listed_with_what_answers(taskbeacon: Taskbeacon, tmp_path: Path) -> None:
    catalog = tmp_path / "agents.toml"
    programs = tmp_path / "programs"
    programs.mkdir()
    catalog.write_text(GHOST)
    settings = {
        "TASKBEACON_AGENT_CATALOG": str(catalog),
        "TASKBEACON_HOME": str(tmp_path),
        "PATH": str(programs),
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_AUTH_TOKEN": "",
        "CLAUDE_CODE_OAUTH_TOKEN": "",
        "GEMINI_API_KEY": "",
    }

    table = taskbeacon("agents", **settings)
    listed = json.loads(taskbeacon("agents", "--json", **settings).stdout)

    assert table.exit_code == 0, table.stderr
    assert table.stdout.splitlines()[0].split("  ")[0] == "agent"
    assert "ghost: The agent 'ghost' is not installed" in table.stdout
    by_name = {entry["name"]: entry for entry in listed}
    assert set(by_name) == {"runbook", "claude", "codex", "gemini", "opencode", "ghost"}
    assert (by_name["runbook"]["answers"], by_name["runbook"]["choice"]) == (True, False)
    assert by_name["runbook"]["version"] == "1"
    assert (by_name["ghost"]["answers"], by_name["ghost"]["choice"], by_name["ghost"]["program"]) == (
        False,
        True,
        None,
    )
    assert by_name["ghost"]["problem"].endswith("Call a medium.")
    assert by_name["ghost"]["install"] == "Call a medium."
    rows = {row.split()[0]: row.split()[1:] for row in table.stdout.splitlines() if row}
    assert rows["runbook"] == ["default", "yes", "1", "yes", "-"]
    assert rows["gemini"] == ["no", "no", "-", "no", "no"]
    assert rows["codex"] == ["yes", "no", "-", "no", "yes"]
    assert "make agents AGENTS=opencode" in table.stdout
    assert (by_name["claude"]["has_key"], by_name["codex"]["has_key"]) == (False, True)


def test_walls_are_tried_and_named(taskbeacon: Taskbeacon, tmp_path: Path) -> None:
    settings = {"TASKBEACON_HOME": str(tmp_path)}

    walled = taskbeacon("agents", "--check", **settings)
    unwalled = taskbeacon("agents", "--check", "--json", TASKBEACON_AGENT_SANDBOX="none", **settings)

    first, *lines = walled.stdout.splitlines()
    assert first.endswith("An agent of this user cannot:")
    is_refused = first.startswith("Sandbox: none") or ("bubblewrap" not in first and os.geteuid() == 0)
    assert walled.exit_code == int(is_refused)
    assert "  held    read files of the service" in lines or walled.exit_code
    # A caller who requests no sandbox gets none.
    assert unwalled.exit_code == 0
    found = json.loads(unwalled.stdout)
    assert found["sandbox"] == "none"
    unstopped = {attempt["name"] for attempt in found["attempts"] if attempt["obstacle"] is None}
    assert "read files of the service" in unstopped


def test_wall_that_is_promised_and_does_not_hold_is_a_breach() -> None:
    through = Attempt(name="read files of the service", obstacle=None, excuse=None)
    assert through.is_breached
    assert not replace(through, obstacle="Permission denied").is_breached
    assert not replace(through, excuse="there is no sandbox").is_breached
