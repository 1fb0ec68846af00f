"""Work that is done once for all who ask at the same time."""

import asyncio
import gc
from typing import Any

import pytest
import structlog

from app.coroutines.shielded import JoinedWork
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
    joined = JoinedWork[int]()
    callers = [asyncio.create_task(joined.join(source.load)) for _ in range(8)]
    await next_round()
    source.may_end.set()
    assert await asyncio.gather(*callers) == [1] * 8
    assert await joined.join(source.load) == 2


async def test_value_is_kept_for_its_time(source: Source) -> None:
    source.may_end.set()
    joined = JoinedWork[int](seconds=3600)
    assert [await joined.join(source.load) for _ in range(3)] == [1, 1, 1]
    brief = JoinedWork[int](seconds=1e-9)
    assert [await brief.join(source.load) for _ in range(2)] == [2, 3]


async def test_caller_that_leaves_takes_nothing_from_the_others(source: Source) -> None:
    joined = JoinedWork[int]()
    leaving, staying = (asyncio.create_task(joined.join(source.load)) for _ in range(2))
    await next_round()
    leaving.cancel()
    await next_round()
    source.may_end.set()
    assert await staying == 1


async def test_failure_is_everybodys_and_not_kept(source: Source) -> None:
    source.failure = OSError("away")
    source.may_end.set()
    joined = JoinedWork[int](seconds=3600)
    callers = [asyncio.create_task(joined.join(source.load)) for _ in range(2)]
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
    source.failure = None
    assert await joined.join(source.load) == 2


async def test_failure_after_its_callers_have_left_is_no_unhandled_error(source: Source) -> None:
    """Regression: asyncio logged that the exception was never retrieved, as of a live diff whose clients are gone."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    source.failure = OSError("away")
    joined = JoinedWork[int]()
    caller = asyncio.create_task(joined.join(source.load))
    await next_round()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    # It holds the work by its trace.
    del caller
    source.may_end.set()
    for _ in range(3):
        await next_round()
    gc.collect()
    assert unhandled == []


async def test_work_has_nothing_of_the_log_context_of_its_first_caller() -> None:
    async def context() -> dict[str, Any]:
        return structlog.contextvars.get_contextvars()

    with structlog.contextvars.bound_contextvars(request_id="first"):
        assert await JoinedWork[dict[str, Any]]().join(context) == {}


async def test_work_of_another_key_is_other_work(source: Source) -> None:
    source.may_end.set()
    joined = JoinedWork[int](seconds=3600)
    assert [await joined.join(source.load, key=key) for key in "aba"] == [1, 2, 1]
