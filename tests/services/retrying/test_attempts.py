"""Steps that are repeated: how often, and for how long."""

from dataclasses import replace

import pytest

from app.outages import DatabaseUnavailable
from app.services.retrying import attempts
from app.services.retrying.attempts import RetryBudget
from app.services.retrying.policies import DATABASE


@pytest.mark.parametrize(("seconds_each", "tries"), [(0, 7), (5, 7), (10, 4), (30, 2), (40, 1)])
async def test_step_that_hangs_is_not_begun_after_the_time_of_its_policy(
    monkeypatch: pytest.MonkeyPatch, seconds_each: float, tries: int
) -> None:
    """Regression: only the delays were limited; a database that hung kept a step for four minutes."""
    now, begun = 1000.0, []

    async def hang() -> None:
        nonlocal now
        begun.append(now)
        now += seconds_each
        raise DatabaseUnavailable

    monkeypatch.setattr(attempts, "monotonic", lambda: now)
    policy = replace(DATABASE, delays=(0,) * len(DATABASE.delays))
    with pytest.raises(DatabaseUnavailable):
        await RetryBudget(policy).call(hang)

    assert len(begun) == tries
    assert begun[-1] <= 1000 + DATABASE.within
