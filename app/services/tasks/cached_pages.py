"""Cache the pages and counts of filtered task lists, each for one version of what the caller sees (ADR 30).

A list takes at most three statements:

1. Read the version, and the rows of the cached page. If the version is that of the cache, this is all.
2. Otherwise, if another request has just cached the page, read its rows.
3. Otherwise, make a query plan for these values, and look up the count, the page and its rows.
"""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import release
from app.schemas.base import Page
from app.services.tasks.filters import (
    SeenTask,
    TaskFilter,
    known_page_statement,
    known_versions,
    look_up_statement,
)
from app.services.views.entity_tags import Held

# The selectivity of a search depends on its words: a generic plan would read every task for some searches.
PLAN_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")
# A page has up to 100 ids of 100 bytes each.
_MOST_LISTS = 1024
_MOST_PAGES = 4


@dataclass(slots=True)
class _KnownList:
    """The cached count and pages of one filter of tasks, all from a snapshot with this version."""

    version: int = -1
    count: int | None = None
    pages: dict[Page, Sequence[UUID]] = field(default_factory=dict)
    # One request looks the page up, and concurrent ones wait for it.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self, version: int, count: int | None) -> None:
        self.version, self.count = version, count
        self.pages.clear()

    def keep(self, page: Page, ids: Sequence[UUID]) -> None:
        if len(self.pages) == _MOST_PAGES:
            del self.pages[next(iter(self.pages))]
        self.pages[page] = ids


class KnownLists:
    """The cache of task lists of a process, by caller and filter. The least recently used lists are dropped."""

    def __init__(self) -> None:
        self._lists: dict[Hashable, _KnownList] = {}

    def of(self, task_filter: TaskFilter) -> _KnownList:
        """Return the cached task list of a filter. If there is none, add an empty one to the cache and return it."""
        key = (task_filter.shape, task_filter.order, tuple(task_filter.parameters.items()))
        known = self._lists.pop(key) if key in self._lists else _KnownList()
        # The most recently used list stands last.
        self._lists[key] = known
        if len(self._lists) > _MOST_LISTS:
            del self._lists[next(iter(self._lists))]
        return known


async def find_page(
    session: AsyncSession, task_filter: TaskFilter, page: Page, lists: KnownLists
) -> tuple[int, Sequence[SeenTask]]:
    """Return the number of tasks that match a filter, and one page of them in the order of the filter.

    The result includes all changes that were committed before the call. `lists` caches the number of tasks, and the
    task ids of each page, until a task that the caller sees changes.
    """
    known = lists.of(task_filter)
    ids = known.pages.get(page, ())
    seen = await _read_known(session, task_filter, ids)
    version, count = seen[0].version, seen[0].total
    async with known.lock:
        if known.version < version:
            known.start(version, count)
        count = known.count
        if page not in known.pages and (count is None or page.offset < count):
            found = await _look_up(session, task_filter, page, counting=count is None)
            if count is None:
                count = found[0].total
                assert count is not None
                known.start(found[0].version, count)
            tasks = _tasks(found)
            if found[0].version == known.version:
                known.keep(page, tuple(row.task.id for row in tasks if row.task))
            return count, tasks
        current = known.pages.get(page, ())
    assert count is not None
    if current != ids:
        seen = await _read_known(session, task_filter, current)
    return count, _tasks(seen)


async def find_held_page(
    session: AsyncSession, task_filter: TaskFilter, page: Page, held: Held, lists: KnownLists
) -> str | None:
    """Return the tag of a page if it is cached and the client has sent its tag; otherwise None."""
    known = lists.of(task_filter)
    version, count, ids = known.version, known.count, known.pages.get(page, ())
    if not held.tags or count is None or (not ids and page.offset < count):
        return None
    current, versions = await known_versions(task_filter.order).one(
        session, {**task_filter.visible, "ids": ids}
    )
    tag = held.tag(count, versions)
    return tag if current == version and held.has(tag) else None


async def _read_known(
    session: AsyncSession, task_filter: TaskFilter, ids: Sequence[UUID]
) -> Sequence[SeenTask]:
    statement = known_page_statement(task_filter.shape, task_filter.order)
    return await statement.all(session, {**task_filter.visible, "ids": ids})


async def _look_up(
    session: AsyncSession, task_filter: TaskFilter, page: Page, *, counting: bool
) -> Sequence[SeenTask]:
    # `SET LOCAL` needs a transaction. It ends here, so that it delays no other request.
    await session.execute(PLAN_FOR_THESE_VALUES)
    statement = look_up_statement(task_filter.shape, page.limit, task_filter.order, counting=counting)
    values = {**task_filter.parameters, "offset": page.offset, "end": page.offset + page.limit}
    found = await statement.all(session, values)
    await release(session)
    return found


def _tasks(rows: Sequence[SeenTask]) -> Sequence[SeenTask]:
    return [row for row in rows if row.task is not None]
