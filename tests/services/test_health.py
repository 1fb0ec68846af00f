"""Work that is done once for all who ask at the same time."""

import asyncio

import pytest

from app.clients.object_store import ObjectStore
from app.clients.redis import RedisClient, create_redis
from app.db import SessionFactory
from app.services.health import Coalesced, Health
from tests.support.waiting import next_round


class Source:
    """Loads its own count of calls, when it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def load(self) -> int:
        self.calls += 1
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return self.calls


@pytest.fixture
def source() -> Source:
    return Source()


async def test_concurrent_callers_share_one_call(source: Source) -> None:
    coalesced = Coalesced[int]()
    callers = [asyncio.create_task(coalesced.get(source.load)) for _ in range(8)]
    await next_round()
    source.may_end.set()
    assert await asyncio.gather(*callers) == [1] * 8
    assert await coalesced.get(source.load) == 2


async def test_value_is_kept_for_its_time(source: Source) -> None:
    source.may_end.set()
    coalesced = Coalesced[int](seconds=3600)
    assert [await coalesced.get(source.load) for _ in range(3)] == [1, 1, 1]
    brief = Coalesced[int](seconds=1e-9)
    assert [await brief.get(source.load) for _ in range(2)] == [2, 3]


async def test_caller_that_leaves_takes_nothing_from_the_others(source: Source) -> None:
    coalesced = Coalesced[int]()
    leaving, staying = (asyncio.create_task(coalesced.get(source.load)) for _ in range(2))
    await next_round()
    leaving.cancel()
    await next_round()
    source.may_end.set()
    assert await staying == 1


async def test_failure_is_everybodys_and_not_kept(source: Source) -> None:
    source.failure = OSError("away")
    source.may_end.set()
    coalesced = Coalesced[int](seconds=3600)
    callers = [asyncio.create_task(coalesced.get(source.load)) for _ in range(2)]
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
    source.failure = None
    assert await coalesced.get(source.load) == 2


async def test_each_process_context_has_a_health_of_its_own(
    sessions: SessionFactory, redis: RedisClient, store: ObjectStore
) -> None:
    """Regression: two of them in one process were answered what the first had asked about its servers."""
    async with create_redis("redis://127.0.0.1:1/0") as nowhere:
        answers = await asyncio.gather(
            Health().check_readiness(sessions, redis, store),
            Health().check_readiness(sessions, nowhere, store),
        )
    assert [answer["redis"] for answer, _ in answers] == ["ok", "unavailable"]
