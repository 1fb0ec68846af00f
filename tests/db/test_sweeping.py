"""Sweeps go on until nothing is left, or until their time is up."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory
from app.db.sweeping import until_none_is_left


@pytest.mark.parametrize(("seconds", "swept"), [(3600, [2, 1, 0]), (0, [2])])
async def test_no_batch_begins_behind_the_end_or_the_time(
    sessions: SessionFactory, seconds: float, swept: list[int]
) -> None:
    left, counts = [2, 1, 0], list[int]()

    async def sweep(_session: AsyncSession) -> int:
        counts.append(left.pop(0))
        return counts[-1]

    assert await until_none_is_left(sessions, sweep, seconds=seconds) == sum(swept)
    assert counts == swept
