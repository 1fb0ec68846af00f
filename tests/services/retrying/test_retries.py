"""Steps that are repeated: how often, for how long, and for which of many items."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.outages import DatabaseUnavailable
from app.services.retrying.policies import DATABASE, RetryPolicy
from app.services.retrying.retries import RetryBudget, by_halves
from tests.support.clock import let_time_pass


@pytest.mark.parametrize(("seconds_each", "tries"), [(0, 7), (5, 7), (10, 4), (30, 2), (40, 1)])
async def test_step_that_hangs_is_not_begun_after_the_time_of_its_policy(
    monkeypatch: pytest.MonkeyPatch, seconds_each: float, tries: int
) -> None:
    """Regression: only the delays were limited; a database that hung kept a step for four minutes."""
    loop = asyncio.get_running_loop()
    began, begun = loop.time(), []

    async def hang() -> None:
        begun.append(loop.time() - began)
        let_time_pass(monkeypatch, seconds=seconds_each)
        raise DatabaseUnavailable

    policy = replace(DATABASE, delays=(0,) * len(DATABASE.delays))
    with pytest.raises(DatabaseUnavailable):
        await RetryBudget(policy).call(hang)

    assert len(begun) == tries
    assert begun[-1] <= DATABASE.within


class Busy(Exception):
    """The refusal of a server that may ask for a delay in seconds."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__()
        self.retry_after = retry_after


@pytest.mark.parametrize(
    ("longest", "requested", "delays"),
    [
        (0.02, 0.02, [0.02, 0.02]),
        # Longer than the policy allows: it is not tried again.
        (0.02, 0.03, []),
        (0.02, None, [0, 0.01]),
        # Its errors ask for no delay.
        (None, 3600, [0, 0.01]),
    ],
)
async def test_delay_that_a_server_requests_replaces_that_of_the_policy(
    caplog: pytest.LogCaptureFixture, longest: float | None, requested: float | None, delays: list[float]
) -> None:
    async def fail() -> None:
        raise Busy(requested)

    policy = RetryPolicy((Busy,), (0, 0.01), "server.busy", within=60.0, longest_retry_after=longest)
    with pytest.raises(Busy):
        await RetryBudget(policy).call(fail)

    logged = [json.loads(record.message) for record in caplog.records]
    assert [entry["retry_in_seconds"] for entry in logged] == delays


async def test_error_that_the_policy_does_not_name_is_raised_at_once() -> None:
    tries = []

    async def fail() -> None:
        tries.append(1)
        raise Busy(None)

    with pytest.raises(Busy):
        await RetryBudget(DATABASE).call(fail)
    assert len(tries) == 1


class Halves:
    """A step for numbers that fails if one of them is bad; it counts for how many each call was."""

    def __init__(self, bad: set[int], error: Exception) -> None:
        self._bad = bad
        self._error = error
        self.sizes: list[int] = []
        self.done: list[int] = []

    async def __call__(self, items: Sequence[int]) -> None:
        self.sizes.append(len(items))
        if self._bad & set(items):
            raise self._error
        self.done += items

    async def perform(self, count: int) -> None:
        await by_halves(range(count), self, event="number.bad", name=lambda number: {"number": number})


@pytest.mark.parametrize(
    ("count", "bad", "sizes"),
    [
        (0, set(), []),
        (8, set(), [8]),
        (8, {2}, [8, 4, 2, 2, 1, 1, 4]),
        (3, {0, 2}, [3, 1, 2, 1, 1]),
        (1, {0}, [1]),
    ],
)
async def test_bad_items_are_found_by_halves_and_logged_and_the_others_done_once(
    caplog: pytest.LogCaptureFixture, count: int, bad: set[int], sizes: list[int]
) -> None:
    step = Halves(bad, Busy(None))

    await step.perform(count)

    assert step.done == [number for number in range(count) if number not in bad]
    assert sorted(step.sizes) == sorted(sizes)
    logged = [json.loads(record.message) for record in caplog.records]
    assert [(entry["event"], entry["number"]) for entry in logged] == [("number.bad", each) for each in bad]


async def test_outage_is_raised_at_once_and_repeated_for_no_half(caplog: pytest.LogCaptureFixture) -> None:
    step = Halves({0}, DatabaseUnavailable())

    with pytest.raises(DatabaseUnavailable):
        await step.perform(8)

    assert (step.sizes, step.done) == ([8], [])
    assert not caplog.records
