"""Connections of a process to the database: the server plans each statement once for each of them (ADR 71)."""

from contextlib import AsyncExitStack

from sqlalchemy import func, select

from app.db import SessionFactory, unit_of_work


async def used(sessions: SessionFactory) -> int:
    """Return which session of the server a unit of work has."""
    async with unit_of_work(sessions) as session:
        number: int = (await session.execute(select(func.pg_backend_pid()))).scalar_one()
    return number


async def test_units_of_work_one_after_another_use_one_connection(
    sessions: SessionFactory,
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            session = await stack.enter_async_context(unit_of_work(sessions))
            _ = await session.connection()

    assert len({await used(sessions) for _ in range(6)}) == 1
