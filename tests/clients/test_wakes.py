"""Listeners hear of changes again after a break of their connection to Redis, even if nothing reports the break."""

import asyncio

import pytest

from app.clients.redis import RedisClient, create_redis
from app.clients.wakes import WakeListener, wake
from app.config import Settings
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually

TOPIC = "tests:topic"


async def test_listener_notices_a_connection_that_has_fallen_silent(
    settings: Settings, redis: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with interruptible(settings.redis_url) as between:
        own = create_redis(behind(between, settings.redis_url))
        listener = WakeListener(own, silence_seconds=0.2)
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
