"""Listeners hear of changes, also after a break of their connection to Redis that nothing reports."""

import asyncio

import pytest

from app.clients.redis import RedisClient, create_redis
from app.clients.wakes import LEDGER, WakeListener, wake
from app.config import Settings
from app.services.retrying.policies import LOOP_SECONDS
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
TOPIC = "tests:topic"


async def test_listener_notices_a_connection_that_has_fallen_silent(
    settings: Settings, redis: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with interruptible(settings.redis_url) as between:
        own = create_redis(behind(between, settings.redis_url))
        listener = WakeListener(own, pause=LOOP_SECONDS, silence_seconds=0.2)
        listening = asyncio.create_task(listener.listen())
        with listener.watch_topic(TOPIC) as happened:
            # The subscription wakes all.
            await eventually(happened.is_set)
            between.mute()
            await eventually(lambda: "wakes.not_subscribed" in caplog.text)
            await between.cut()
            await between.resume()
            happened.clear()
            await eventually(happened.is_set)
            happened.clear()
            await wake(redis, TOPIC)
            await eventually(happened.is_set)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await own.aclose()


async def test_wake_of_the_ledger_reaches_one_process_until_its_turn_ends(redis: RedisClient) -> None:
    listeners = [
        WakeListener(redis, pause=LOOP_SECONDS, turn_seconds=60),
        WakeListener(redis, pause=LOOP_SECONDS, turn_seconds=60),
    ]
    listening = [asyncio.create_task(listener.listen()) for listener in listeners]
    with (
        listeners[0].watch_topic(LEDGER) as first,
        listeners[1].watch_topic(LEDGER) as second,
        listeners[0].watch_topic(TOPIC) as first_heard,
        listeners[1].watch_topic(TOPIC) as second_heard,
    ):
        events = (first, second, first_heard, second_heard)

        async def wake_all() -> tuple[bool, bool]:
            for event in events:
                event.clear()
            await wake(redis, LEDGER)
            await wake(redis, TOPIC)
            # Published later: who heard of it has heard of the ledger.
            await eventually(lambda: first_heard.is_set() and second_heard.is_set())
            return first.is_set(), second.is_set()

        await eventually(lambda: all(event.is_set() for event in events))
        woken = await wake_all()
        assert sorted(woken) == [False, True]
        assert await wake_all() == woken
        # Nobody asks Redis again before the turn ends, which would cost each event a request in each process.
        await redis.delete("taskbeacon:turn")
        assert await wake_all() == woken
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)


async def test_turn_of_a_process_that_has_ended_passes_to_another(redis: RedisClient) -> None:
    await redis.set("taskbeacon:turn", b"", px=300)
    listener = WakeListener(redis, pause=LOOP_SECONDS, turn_seconds=60)
    listening = asyncio.create_task(listener.listen())
    with listener.watch_topic(LEDGER) as woken:
        await eventually(woken.is_set)
        woken.clear()

        async def is_woken() -> bool:
            await wake(redis, LEDGER)
            return woken.is_set()

        await eventually(is_woken)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
