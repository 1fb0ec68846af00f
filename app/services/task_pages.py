"""Which tasks stand on a page of a filtered list, and how many there are: looked up once for each version (ADR 30)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import release
from app.services.list_memory import ListMemory
from app.services.task_filters import TaskFilter, count_statement, page_statement, version_statement
from app.statements import Fields, Prepared

__all__ = ["find_page"]

# How selective a search is shows only in its words: a plan for any words would read every task for some of them.
_PLAN_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")


async def find_page(
    session: AsyncSession, wanted: TaskFilter, *, limit: int, offset: int, lists: ListMemory
) -> tuple[int, Sequence[UUID]]:
    """Return how many tasks a filter leaves, and the ids of those on a page, in no order.

    Both are as of now or, where others ask for the same at this moment, as of a moment later.
    """
    key = (wanted.shape, tuple(wanted.values.items()))
    seen = await _look(session, version_statement(wanted.shape), wanted.values)
    version, count = seen["version"], seen["count"]

    async def count_now() -> tuple[int, int]:
        found = await _look_anew(session, count_statement(wanted.shape), wanted.values)
        return found["version"], found["count"]

    async def page_now() -> tuple[int, Sequence[UUID]]:
        values = {**wanted.values, "offset": offset, "end": offset + limit}
        found = await _look_anew(session, page_statement(wanted.shape, limit), values)
        return found["version"], tuple(found["ids"] or ())

    if count is None:
        count = await lists.counts.get(key, version, count_now)
    if offset >= count:
        return count, ()
    return count, await lists.pages.get((key, limit, offset), version, page_now)


async def _look(session: AsyncSession, statement: Prepared, values: Mapping[str, Any]) -> Fields:
    (found,) = await statement.all(session, values)
    return found


async def _look_anew(session: AsyncSession, statement: Prepared, values: Mapping[str, Any]) -> Fields:
    """Perform a statement with a plan of its own, in a transaction that ends with it: who is next waits for nobody."""
    await session.execute(_PLAN_FOR_THESE_VALUES)
    found = await _look(session, statement, values)
    await release(session)
    return found
