"""Two transactions in a fixed order: the first commits when the second has run into its lock, or is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from tests.support.waiting import eventually

First = TypeVar("First")
Second = TypeVar("Second")

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def perform(sessions: SessionFactory, step: Callable[[AsyncSession], Awaitable[First]]) -> First:
    """Perform one step in a transaction of its own."""
    async with unit_of_work(sessions) as session:
        return await step(session)


async def count_waiting(sessions: SessionFactory) -> int:
    """Return how many transactions wait for a lock."""
    async with unit_of_work(sessions) as session:
        return await session.scalar(_WAITING) or 0


async def race(
    sessions: SessionFactory,
    first: Callable[[AsyncSession], Awaitable[First]],
    second: Callable[[AsyncSession], Awaitable[Second]],
) -> tuple[First, Second]:
    """Return the results of both functions, where `second` began before `first` committed."""

    async def is_waiting_or_over() -> bool:
        return contender.done() or await count_waiting(sessions) > 0

    async with asyncio.TaskGroup() as group, unit_of_work(sessions) as session:
        # Some of what is raced is one statement, which would otherwise stand for itself and be over.
        _ = await session.connection()
        outcome = await first(session)
        contender = group.create_task(perform(sessions, second))
        await eventually(is_waiting_or_over)
    return outcome, contender.result()
