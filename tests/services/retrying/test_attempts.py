"""Steps that are repeated: how often, and for how long."""

import asyncio
from dataclasses import replace

import pytest

from app.outages import DatabaseUnavailable
from app.services.retrying.attempts import RetryBudget
from app.services.retrying.policies import DATABASE
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
