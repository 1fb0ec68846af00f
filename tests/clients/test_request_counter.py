"""Rate limits over several processes: when each synchronises, and how far a limit can be exceeded."""

import pytest

from app.clients.redis import RedisClient
from app.clients.request_counter import Quota, RateLimit, RateLimiter
from app.ids import new_hex_id

MINUTE = [RateLimit(60, 480)]
# The start of a window.
NOW = 1_800_000_000.0


@pytest.fixture
def bucket() -> str:
    return f"test:{new_hex_id()}"


async def passed(
    limiter: RateLimiter, redis: RedisClient, bucket: str, times: int, *, now: float = NOW
) -> int:
    """Return how many of so many requests at one instant are let through."""
    quotas = [await limiter.hit(redis, bucket, MINUTE, now=now) for _ in range(times)]
    return [quota.retry_after for quota in quotas].count(None)


async def counted(redis: RedisClient, bucket: str) -> int:
    return int(await redis.get(f"throttle:{bucket}:60:{int(NOW) // 60}") or 0)


async def test_one_process_lets_exactly_its_limit_through(redis: RedisClient, bucket: str) -> None:
    assert await passed(RateLimiter(), redis, bucket, 600) == 480


async def test_two_processes_share_a_limit(redis: RedisClient, bucket: str) -> None:
    one, two = RateLimiter(), RateLimiter()
    through = 0
    for _ in range(600):
        through += await passed(one, redis, bucket, 1) + await passed(two, redis, bucket, 1)
    assert 480 <= through <= 480 + 480 / 50


async def test_requests_are_counted_together(redis: RedisClient, bucket: str) -> None:
    limiter = RateLimiter()
    await passed(limiter, redis, bucket, 1)
    assert await counted(redis, bucket) == 1
    await passed(limiter, redis, bucket, 5)
    assert await counted(redis, bucket) == 1
    await passed(limiter, redis, bucket, 1, now=NOW + 0.3)
    assert await counted(redis, bucket) == 7


async def test_nearly_used_limit_is_synchronised_at_each_request(redis: RedisClient, bucket: str) -> None:
    limiter = RateLimiter()
    await passed(limiter, redis, bucket, 450)
    assert await counted(redis, bucket) == 450
    await passed(limiter, redis, bucket, 1)
    assert await counted(redis, bucket) == 451


async def test_used_up_limit_is_refused_without_asking(redis: RedisClient, bucket: str) -> None:
    limiter = RateLimiter()
    await passed(limiter, redis, bucket, 481)
    synced = await counted(redis, bucket)
    assert await passed(limiter, redis, bucket, 100) == 0
    assert await counted(redis, bucket) == synced


async def test_requests_that_the_minute_refuses_use_up_nothing_of_the_hour(
    redis: RedisClient, bucket: str
) -> None:
    limits = [RateLimit(60, 20), RateLimit(3600, 100)]
    one, two = RateLimiter(), RateLimiter()
    for _ in range(100):
        for limiter in (one, two):
            await limiter.hit(redis, bucket, limits, now=NOW)
    for process in (one, two):
        quota = await process.hit(redis, bucket, limits, now=NOW)
        assert 0 < (quota.retry_after or 0) <= 60
    later = [await process.hit(redis, bucket, limits, now=NOW + 60) for process in (one, two)]
    assert [quota.retry_after for quota in later] == [None, None]
    of_hour = int(await redis.get(f"throttle:{bucket}:3600:{int(NOW) // 3600}") or 0)
    assert 22 <= of_hour <= 24


async def test_seconds_to_wait_end_with_the_window(redis: RedisClient, bucket: str) -> None:
    limiter = RateLimiter()
    await passed(limiter, redis, bucket, 480, now=NOW + 50)
    assert await limiter.hit(redis, bucket, MINUTE, now=NOW + 50) == Quota(480, 0, 10, 10)
    assert await limiter.hit(redis, bucket, MINUTE, now=NOW + 60) == Quota(480, 479, 60, None)
