"""Runs with small limits."""

from dataclasses import replace

import pytest

from tests.agents.conftest import Runner

MIB = 2**20


@pytest.fixture
def limited(runner: Runner) -> Runner:
    """A runner with small shares; each bomb below is far over its share, and bounded."""
    sandbox = runner.context.sandbox
    policy = replace(
        sandbox.policy,
        memory_bytes=256 * MIB,
        processes=60,
        disk_bytes=48 * MIB,
        file_bytes=512 * MIB,
        pause_seconds=0.1,
        disk_pause_seconds=0.2,
    )
    runner.context = replace(runner.context, sandbox=replace(sandbox, policy=policy))
    return runner
