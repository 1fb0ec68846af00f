"""Checks of outputs that clients give: slow ones of one project are its own matter."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

import pytest

from app.agents.errors import OutputInvalid
from app.agents.outputs.killable_check import FairSlots, QueueFull, check_given
from tests.devstack.launchers import snapshot
from tests.support.marked import processes_with
from tests.support.waiting import eventually, next_round

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


async def settle() -> None:
    for _ in range(20):
        await next_round()


async def test_one_party_leaves_places_to_others_and_waits_with_a_bound() -> None:
    slots, inside, leave = FairSlots(4, share=2, waiting=3), list[str](), asyncio.Event()

    async def visit(party: str) -> None:
        async with slots.hold(party):
            inside.append(party)
            await leave.wait()

    visits = [asyncio.create_task(visit("busy")) for _ in range(5)]
    await settle()
    assert inside == ["busy", "busy"]
    with pytest.raises(QueueFull):
        await visit("busy")
    visits += [asyncio.create_task(visit(party)) for party in ("a", "b", "c")]
    await settle()
    assert inside == ["busy", "busy", "a", "b"], "and four at a time in all"

    leave.set()
    await asyncio.gather(*visits)
    assert sorted(inside) == ["a", "b", "busy", "busy", "busy", "busy", "busy", "c"]


async def test_one_that_gives_up_waiting_leaves_nothing_behind() -> None:
    slots = FairSlots(1, share=1, waiting=1)
    async with slots.hold("x"):
        waiting = asyncio.create_task(slots.hold("x").__aenter__())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(120), slots.hold("x"):
        pass
