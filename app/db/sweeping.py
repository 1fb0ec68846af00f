"""Delete expired rows in batches, so that no statement runs into its time limit."""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase

from app.db import SessionFactory, unit_of_work
from app.db.statements import count_changed

SWEEP_BATCH = 10_000


async def until_none_is_left(
    sessions: SessionFactory, sweep: Callable[[AsyncSession], Awaitable[int]], *, seconds: float = math.inf
) -> int:
    """Call `sweep` in new transactions until it finds no row or `seconds` are over; return how many rows it found."""
    total, count, end = 0, -1, time.monotonic() + seconds
    while count and (total == 0 or time.monotonic() < end):
        async with unit_of_work(sessions) as session:
            count = await sweep(session)
        total += count
    return total


async def delete_batch(
    session: AsyncSession,
    model: type[DeclarativeBase],
    expired: ColumnElement[bool],
    *,
    oldest: Any = None,
    most: int = SWEEP_BATCH,
) -> int:
    """Delete at most `most` expired rows that no other transaction has locked; return their number."""
    key = inspect(model).primary_key
    # A CTE runs once; a subquery with a limit may run again for each row, and choose other rows. For a large table,
    # `oldest` is an indexed column: without the order, the planner may prefer to read the whole table.
    rows = (
        select(*key)
        .where(expired)
        .order_by(oldest)
        .limit(most)
        .with_for_update(skip_locked=True, of=model)
        .cte()
    )
    swept = delete(model).where(tuple_(*key).in_(select(*rows.c)))
    return await count_changed(session, swept.execution_options(synchronize_session=False))
