"""Pages of filtered lists, and how many tasks there are: looked up once for each version of what a caller sees (ADR 30).

A list is three statements at most. The first looks at the version, and brings the rows of the page as it was last known.
Where that is not how it is, there follow either the rows of what another request has found out by now, or the setting for
a plan of its own and the one look-up that brings count, page and rows.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import release
from app.services.tasks.filters import TaskFilter, known_page_statement, look_up_statement
from app.services.tasks.list_memory import ListMemory
from app.statements import Fields

__all__ = ["find_page"]

# How selective a search is shows only in its words: a plan for any words would read every task for some of them.
_PLAN_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")


async def find_page(
    session: AsyncSession, wanted: TaskFilter, *, limit: int, offset: int, lists: ListMemory
) -> tuple[int, Sequence[Fields]]:
    """Return how many tasks a filter leaves, and the rows of those on a page, newest first.

    Both are as of now or, where others ask for the same at this moment, as of a moment later.
    """
    key = (wanted.shape, tuple(wanted.values.items()))
    page = (key, limit, offset)
    fresh: list[Fields] = []

    async def look_up(*, counting: bool) -> Fields:
        found = await _look_up(session, wanted, limit=limit, offset=offset, counting=counting)
        fresh[:] = [row for row in found if row["id"] is not None]
        return found[0]

    async def count_now() -> tuple[int, int]:
        found = await look_up(counting=True)
        lists.pages.keep(page, found["version"], _ids(fresh))
        return found["version"], found["count"]

    async def page_now() -> tuple[int, Sequence[UUID]]:
        found = await look_up(counting=False)
        return found["version"], _ids(fresh)

    known = lists.pages.last(page) or ()
    seen = await _look_at(session, wanted, known)
    version, count = seen[0]["version"], seen[0]["count"]
    if count is None:
        count = await lists.counts.get(key, version, count_now)
    if offset >= count:
        return count, ()
    ids = await lists.pages.get(page, version, page_now)
    if fresh or not ids:
        return count, fresh
    if ids is not known:
        seen = await _look_at(session, wanted, ids)
    return count, [row for row in seen if row["id"] is not None]


async def _look_at(session: AsyncSession, wanted: TaskFilter, ids: Sequence[UUID]) -> Sequence[Fields]:
    return await known_page_statement(wanted.shape).all(session, {**wanted.values, "ids": ids})


def _ids(rows: Sequence[Fields]) -> Sequence[UUID]:
    return tuple(row["id"] for row in rows)


async def _look_up(
    session: AsyncSession, wanted: TaskFilter, *, limit: int, offset: int, counting: bool
) -> Sequence[Fields]:
    """Look up with a plan of its own, in a transaction that ends with it: who is next waits for nobody."""
    await session.execute(_PLAN_FOR_THESE_VALUES)
    statement = look_up_statement(wanted.shape, limit, counting=counting)
    found = await statement.all(session, {**wanted.values, "offset": offset, "end": offset + limit})
    await release(session)
    return found
