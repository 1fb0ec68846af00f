"""Checks of outputs that clients give: slow ones of one project are its own matter."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

import pytest

from app.agents.errors import OutputInvalid
from app.agents.outputs.fair_slots import QueueFull
from app.agents.outputs.killable_check import check_given
from tests.devstack.launchers import snapshot
from tests.support.marked import processes_with
from tests.support.waiting import eventually

pytestmark = pytest.mark.walls

# One pattern that keeps Python's regular expressions busy for ever.
SLOW = {"pattern": "^(a+)+$"}
HOLDS_UP = "a" * 60 + "!"


async def test_slow_schemas_of_one_project_do_not_make_another_wait() -> None:
    slow = [asyncio.create_task(check_given(HOLDS_UP, SLOW, project_id=1, seconds=600)) for _ in range(12)]
    try:
        await check_given("x", {"type": "string"}, project_id=2)
        assert not any(task.done() for task in slow)
        with pytest.raises(QueueFull):
            await check_given("x", {}, project_id=1)
    finally:
        for task in slow:
            task.cancel()
        # A cancelled check holds its slot until its process ends, which would take all of its time.
        await eventually(lambda: _ended_checks(slow))
        await asyncio.gather(*slow, return_exceptions=True)


def _ended_checks(tasks: Sequence[asyncio.Task[None]]) -> bool:
    """Kill the checks that this process has started, and return whether all tasks are over."""
    for pid in snapshot([os.getpid()]).keys() & set(processes_with("schema_check")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return all(task.done() for task in tasks)


async def test_check_that_takes_too_long_is_an_invalid_output() -> None:
    with pytest.raises(OutputInvalid, match=r"took over 0\.5 s"):
        await check_given(HOLDS_UP, SLOW, project_id=1, seconds=0.5)
