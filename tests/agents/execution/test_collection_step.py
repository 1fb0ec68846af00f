"""Limits of a run after its agent has ended: while its work is gathered, and its output is checked."""

import asyncio
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any  # JSON

import pytest

from app.agents.errors import AgentOverLimit, AgentStopped, WorkspaceBroken
from app.agents.execution.run_context import RunContext, RunEffects
from app.agents.execution.run_steps import perform
from tests.agents.conftest import NoCommands, Runner, eventually, in_each_sandbox
from tests.agents.sandbox.test_resource_usage import python
from tests.devstack.launchers import ended, snapshot
from tests.support.clock import let_time_pass
from tests.support.marked import processes_with

pytestmark = pytest.mark.walls

# Should a program of the agent's run after all while the work is gathered: this is one.
FORKS = "for n in $(seq 90); do sleep 600 & done; wait"
HOLDS = "python3 -c 'import os, signal; kept = bytearray(os.urandom(2**20)) * 90; signal.pause()'"


@in_each_sandbox
@pytest.mark.parametrize(
    ("program", "message"),
    [
        (FORKS, "The run had more than 60 processes and threads at a time."),
        (f"{HOLDS} & {HOLDS} & {HOLDS} & {HOLDS}", "The run used more than 256 MiB of memory."),
        ("for n in 1 2 3 4 5 6 7 8; do head -c 20000000 /dev/zero > f$n; done; sleep 600", "disk"),
    ],
    ids=["processes", "memory", "disk"],
)
async def test_limits_hold_while_the_work_is_gathered(limited: Runner, program: str, message: str) -> None:
    outcome = await limited.run(python("little", "open('f', 'w').write('x')"), gather=program)

    assert isinstance(outcome.failed, AgentOverLimit), outcome.failed
    assert message in outcome.failed.message
    logged = [entry["notification"]["params"].get("message") for entry in outcome.entries]
    assert f"The agent's work is left out: {outcome.failed.message}" in logged


@in_each_sandbox
async def test_check_of_the_output_has_no_more_memory_than_the_run(limited: Runner) -> None:
    """Each error of a schema holds the whole output again. The kernel refuses the memory, or the run is over."""
    output = "a" * 500_000

    outcome = await limited.run(
        f'```json output\n"{output}"\n```',
        json_schema={"anyOf": [{"type": "null"}] * 1000},
        check_seconds=120,
    )

    assert re.search("MemoryError|used more than 256 MiB of memory", outcome.failed.message), outcome.failed


@in_each_sandbox
async def test_stop_ends_a_check_of_the_output(limited: Runner) -> None:
    # One pattern that keeps Python's regular expressions busy for ever.
    endless = limited.prepare(
        f'```json output\n"{"a" * 60}!"\n```', json_schema={"pattern": "^(a+)+$"}, check_seconds=120
    )

    await stop_at(endless, "app.agents.outputs.schema_check")


def own_processes_with(marker: str) -> set[int]:
    """Return the descendants of this process that carry a marker."""
    return snapshot([os.getpid()]).keys() & set(processes_with(marker))


async def stop_at(context: RunContext, marker: str) -> None:
    """Perform a run, stop it when a process with this marker works, and expect both to end."""
    stop = asyncio.Event()

    async def emit(_entry: dict[str, Any]) -> None:
        pass

    performing = asyncio.create_task(
        perform(context, RunEffects(emit=emit, commands=NoCommands(), stop=stop))
    )
    await eventually(lambda: bool(own_processes_with(marker)))
    working = snapshot(own_processes_with(marker))
    stop.set()
    # It would never end by itself.
    with pytest.raises(AgentStopped):
        await asyncio.wait_for(performing, 120)

    assert ended(working)


@in_each_sandbox
async def test_gathering_takes_no_longer_than_the_run_may(
    limited: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    marker = f"gathering-{os.getpid()}-{tmp_path.name}"
    gather = f"sleep 86400; : {marker}"

    run = asyncio.create_task(
        limited.run(python("little", "pass"), timeout=timedelta(minutes=4), gather=gather)
    )
    await eventually(lambda: processes_with(marker) != [])
    let_time_pass(monkeypatch, minutes=4)
    outcome = await run

    assert isinstance(outcome.failed, WorkspaceBroken)
    assert outcome.failed.message.startswith("Gathering the agent's work took over ")


@in_each_sandbox
async def test_stop_ends_a_gathering_that_ignores_the_polite_signal(limited: Runner, tmp_path: Path) -> None:
    marker = f"gathering-{os.getpid()}-{tmp_path.name}"
    # Deaf to the polite signal.
    gather = f"trap '' TERM; while :; do sleep 60; done; : {marker}"

    await stop_at(limited.prepare(python("little", "pass"), gather=gather), marker)
