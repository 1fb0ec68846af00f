"""Where `make agents` put the agents that `make test-agents` tests, and which of them have to be there."""

import os
from pathlib import Path

import pytest

from app.agents.adapters.catalog import load_catalog
from app.agents.adapters.installation import find_installed
from app.agents.errors import AgentNotInstalled
from app.config import Settings
from app.devstack.agents import USUAL_AGENTS

_NOTED = "TASKBEACON_TEST_AGENTS"


def note_agents_folder() -> None:
    """Keep what the developer's settings say: the tests themselves run without them."""
    os.environ[_NOTED] = str(Settings(development=True).agents_path)


def agents_folder() -> Path:
    """Return the folder that `make agents` fills in the same environment."""
    return Path(os.environ[_NOTED])


def require_agent(name: str, folder: Path) -> None:
    """Skip the test if its agent is one that only some install, and is not there."""
    if name in USUAL_AGENTS:
        return
    try:
        find_installed(load_catalog().find(name), os.environ, folder)
    except AgentNotInstalled:
        pytest.skip(f"not installed: make agents AGENTS={name}")
