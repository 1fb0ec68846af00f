"""What `make agents` can install."""

import json
from pathlib import Path

import pytest

from app.agents.catalog import load_catalog
from app.devstack.agents import USUAL_AGENTS, install_agents
from app.devstack.console import Console
from app.devstack.errors import DevstackError

SOURCE = Path(__file__).parents[2] / "agents"


def test_agent_that_nobody_can_install_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevstackError, match="no agent 'ghost' can be installed; there are claude, codex, "):
        install_agents(tmp_path / "agents", ["claude", "ghost"], Console())
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
