"""The folder of the agents that `make agents` installs and `make test-agents` tests; required and optional ones."""

import os
from pathlib import Path

import pytest

from app.agents.adapters.catalog import load_catalog
from app.agents.adapters.installation import find_installed
from app.agents.errors import AgentNotInstalled
from app.config import Settings
from app.devstack.agent_installer import USUAL_AGENTS

_NOTED = "TASKBEACON_TEST_AGENTS"


def note_agents_folder() -> None:
    """Remember the agents folder of the developer's settings, without which the tests themselves run."""
    os.environ[_NOTED] = str(Settings(development=True).agents_path)


def agents_folder() -> Path:
    """Return the folder that `make agents` fills in the same environment."""
    return Path(os.environ[_NOTED])


def require_agent(name: str, folder: Path) -> None:
    """Skip the test if its agent is an optional one and is not installed in `folder`."""
    if name in USUAL_AGENTS:
        return
    try:
        find_installed(load_catalog().find(name), os.environ, folder)
    except AgentNotInstalled:
        pytest.skip(f"not installed: make agents AGENTS={name}")
