"""A worker that checks a repository of the test."""

import os
from pathlib import Path

import pytest

from app.agents.check_execution.check_context import Preparation
from app.agents.git.mirrors import Mirrors
from app.agents.network.network_access import NetworkRules
from app.agents.sandbox.confinement import Sandbox
from tests.agents.check_execution.checking import Checking


@pytest.fixture
def checking(tmp_path: Path, sandbox: Sandbox) -> Checking:
    rules = NetworkRules()
    preparation = Preparation(
        sandbox=sandbox,
        setup_network=rules,
        run_network=rules,
        variables={"TOKEN": "sesame-of-the-checks"},
        caches=tmp_path / "caches" / "repository",
        caches_bytes=2**30,
    )
    return Checking(
        tmp_path,
        sandbox,
        preparation,
        Mirrors(tmp_path / "mirrors", os.environ, max_bytes=2**30),
    )
