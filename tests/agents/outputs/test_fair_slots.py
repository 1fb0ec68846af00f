"""Places that several parties share: one that has much to do does not make the others wait."""

import asyncio

import pytest

from app.agents.outputs.fair_slots import FairSlots, QueueFull
from tests.support.waiting import next_round


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
