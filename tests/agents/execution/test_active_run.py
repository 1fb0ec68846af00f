"""Runs that are stopped after their agent has ended: nothing of them is pushed any more (contract 13.6)."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from app.agents.errors import AgentStopped
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.agents.workspace.work_bundle import GATHER
from app.ids import new_id
from tests.agents.conftest import GitFolder, NoCommands, Runner, eventually
from tests.support.marked import processes_with

WORK = "```sh\necho work > a.txt\n```"


@pytest.fixture
def nap() -> str:
    """The seconds that a program of this test sleeps: a number that no other process of this machine has."""
    return f"86400.{new_id().int % 10**12:012}"


def perform_stoppable(runner: Runner, stop: asyncio.Event, **changes: Any) -> asyncio.Task[Any]:
    async def emit(_entry: dict[str, Any]) -> None:
        pass

    effects = RunEffects(emit=emit, commands=NoCommands(), stop=stop)
    return asyncio.create_task(perform(runner.prepare(WORK, **changes), effects))


async def test_run_that_is_stopped_while_its_work_is_gathered_pushes_nothing(
    runner: Runner, origin: GitFolder, nap: str
) -> None:
    """The gathering, which has two seconds after a stop, still ends in time, and the branch was pushed."""
    stop = asyncio.Event()
    performing = perform_stoppable(runner, stop, stop_seconds=60, gather=f"sleep {nap} || :\n{GATHER}")
    await eventually(lambda: processes_with(f"sleep\0{nap}") != [])

    stop.set()
    for sleeping in processes_with(f"sleep\0{nap}"):
        os.kill(sleeping, signal.SIGKILL)
    with pytest.raises(AgentStopped) as stopped:
        await performing

    assert stopped.value.partial is not None
    assert stopped.value.partial.files_changed == ["a.txt"]
    assert origin.branches() == ["main"]


async def test_stop_ends_a_push_in_progress(runner: Runner, origin: GitFolder, nap: str) -> None:
    """The host takes as long as it likes: git had 20 minutes."""
    hook = Path(origin.path) / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nsleep {nap}\n")
    hook.chmod(0o755)
    stop = asyncio.Event()
    performing = perform_stoppable(runner, stop)
    await eventually(lambda: processes_with(f"sleep\0{nap}") != [])

    stop.set()
    with pytest.raises(AgentStopped) as stopped:
        await asyncio.wait_for(performing, 120)

    assert processes_with(nap) == []
    assert stopped.value.partial is not None
    assert (stopped.value.partial.files_changed, stopped.value.partial.head_branch) == (["a.txt"], None)
    assert origin.branches() == ["main"]
