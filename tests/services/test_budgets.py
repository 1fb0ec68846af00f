"""Budgets over several processes: what each tells Redis, when, and how far one can be overdrawn."""

import pytest

from app.clients.redis import RedisClient
from app.ids import new_hex_id
from app.services.rate_limits import Budget, Budgets

MINUTE = [Budget(60, 480)]
# The start of a window.
NOW = 1_800_000_000.0


@pytest.fixture
def bucket() -> str:
    return f"test:{new_hex_id()}"


async def passed(budgets: Budgets, redis: RedisClient, bucket: str, times: int, *, now: float = NOW) -> int:
    """Return how many of so many requests at one instant are let through."""
    answers = [await budgets.count(redis, bucket, MINUTE, now=now) for _ in range(times)]
    return answers.count(None)


async def counted(redis: RedisClient, bucket: str) -> int:
    return int(await redis.get(f"throttle:{bucket}:60:{int(NOW) // 60}") or 0)


async def test_one_process_lets_exactly_its_budget_through(redis: RedisClient, bucket: str) -> None:
    assert await passed(Budgets(), redis, bucket, 600) == 480


async def test_two_processes_share_a_budget(redis: RedisClient, bucket: str) -> None:
    one, two = Budgets(), Budgets()
    through = 0
    for _ in range(600):
        through += await passed(one, redis, bucket, 1) + await passed(two, redis, bucket, 1)
    assert 480 <= through <= 480 + 480 / 50


async def test_requests_are_told_together(redis: RedisClient, bucket: str) -> None:
    budgets = Budgets()
    await passed(budgets, redis, bucket, 1)
    assert await counted(redis, bucket) == 1
    await passed(budgets, redis, bucket, 5)
    assert await counted(redis, bucket) == 1
    await passed(budgets, redis, bucket, 1, now=NOW + 0.3)
    assert await counted(redis, bucket) == 7


async def test_nearly_used_budget_is_asked_for_at_each_request(redis: RedisClient, bucket: str) -> None:
    budgets = Budgets()
    await passed(budgets, redis, bucket, 450)
    assert await counted(redis, bucket) == 450
    await passed(budgets, redis, bucket, 1)
    assert await counted(redis, bucket) == 451


async def test_used_up_budget_is_refused_without_asking(redis: RedisClient, bucket: str) -> None:
    budgets = Budgets()
    await passed(budgets, redis, bucket, 481)
    told = await counted(redis, bucket)
    assert await passed(budgets, redis, bucket, 100) == 0
    assert await counted(redis, bucket) == told


async def test_seconds_to_wait_end_with_the_window(redis: RedisClient, bucket: str) -> None:
    budgets = Budgets()
    await passed(budgets, redis, bucket, 480, now=NOW + 50)
    assert await budgets.count(redis, bucket, MINUTE, now=NOW + 50) == 10
    assert await budgets.count(redis, bucket, MINUTE, now=NOW + 60) is None
