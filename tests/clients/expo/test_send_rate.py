"""The pace of messages that all processes keep together."""

import asyncio
from contextlib import aclosing

from app.clients.expo.send_rate import SendRate
from app.clients.pushes.push import Deadline
from app.clients.redis import RedisClient, create_redis
from tests.support.waiting import eventually


async def test_pace_holds_over_all_processes(redis: RedisClient) -> None:
    """Two processes that share a limit wait for each other, without a burst at the turn of a second."""
    first, second = (SendRate(redis, "pace:test", per_second=1000) for _ in range(2))
    await first.take(50, Deadline())
    started = await redis.time()

    await second.take(50, Deadline())
    await first.take(50, Deadline())

    ended = await redis.time()
    elapsed = (ended[0] - started[0]) + (ended[1] - started[1]) / 1_000_000
    assert 0.08 < elapsed < 30


async def test_pace_reserves_nothing_for_those_who_cannot_wait_so_long(redis: RedisClient) -> None:
    rate = SendRate(redis, "pace:test", per_second=1)
    assert await rate.take(100, Deadline())
    reserved = await redis.get("pace:test")

    assert not await rate.take(1, Deadline(50))

    assert await redis.get("pace:test") == reserved


async def test_who_comes_after_the_deadline_reserves_nothing(redis: RedisClient) -> None:
    assert not await SendRate(redis, "pace:test", per_second=1).take(100, Deadline(0))
    assert await redis.get("pace:test") is None


async def test_waiting_for_the_pace_ends_with_the_deadline(redis: RedisClient) -> None:
    rate = SendRate(redis, "pace:test", per_second=1)
    await rate.take(100, Deadline())
    reserved = await redis.get("pace:test")
    deadline = Deadline()
    waiting = asyncio.create_task(rate.take(1, deadline))

    async def waits() -> bool:
        return bool(await redis.get("pace:test") != reserved)

    await eventually(waits)
    deadline.expire()

    assert not await waiting


async def test_pace_lets_messages_through_while_redis_is_away() -> None:
    async with aclosing(create_redis("redis://127.0.0.1:1/0")) as redis:
        assert await SendRate(redis, "pace:test", per_second=1).take(1000, Deadline())
