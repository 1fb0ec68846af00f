"""Count the tasks a caller sees, and show whether an earlier view of them still holds, without reading the tasks.

Both are sums over `task_counts`; triggers write its rows in the transaction of each change (ADR 30). The number of
changes is the version of a caller's view: it never falls, and two snapshots with the same version hold the same tasks,
in the same order, under every filter.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import TaskCount
from app.models.tasks import EVERYONE

FOLDED_AT_ONCE = 10_000

# The values are those of `access.visibility`.
_SEEN = (
    TaskCount.project_id == bindparam("visible_project_id"),
    TaskCount.audience.in_([literal(EVERYONE, BigInteger), bindparam("visible_user_id", type_=BigInteger)]),
)


def version() -> ScalarSelect[int]:
    """Return the expression for the number of changes to tasks that the caller sees, or saw."""
    return _sum(TaskCount.changes)


def tasks_counted(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """Return the expression for the number of visible tasks with flags in `TaskCount` that meet the conditions."""
    return _sum(TaskCount.tasks, *conditions)


def _sum(column: Any, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    # PostgreSQL adds up to `numeric`, which would arrive as a Decimal.
    total = cast(func.coalesce(func.sum(column), 0), BigInteger)
    return select(total).where(*_SEEN, *conditions).scalar_subquery()


async def fold_counts(session: AsyncSession) -> int:
    """Replace many rows, at most `FOLDED_AT_ONCE`, by one with their sums; return the number of rows that were new.

    A concurrent sum sees either all of the old rows or the new one. Lists need this only for speed.
    """
    fresh = (
        select(TaskCount.id, TaskCount.project_id, TaskCount.audience)
        .where(~TaskCount.folded)
        .order_by(TaskCount.id)
        .limit(FOLDED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("fresh")
    )
    group = (TaskCount.project_id, TaskCount.audience, TaskCount.archived, TaskCount.internal)
    gone = (
        delete(TaskCount)
        .where(
            tuple_(TaskCount.project_id, TaskCount.audience).in_(
                select(fresh.c.project_id, fresh.c.audience)
            ),
            or_(TaskCount.folded, TaskCount.id.in_(select(fresh.c.id))),
        )
        .returning(*group, TaskCount.tasks, TaskCount.changes, TaskCount.folded)
        .cte("gone")
    )
    by: Sequence[ColumnElement[Any]] = [gone.c[column.key] for column in group]
    totals = select(
        *by,
        cast(func.sum(gone.c.tasks), BigInteger),
        cast(func.sum(gone.c.changes), BigInteger),
        literal(value=True),
    ).group_by(*by)
    columns = ["project_id", "audience", "archived", "internal", "tasks", "changes", "folded"]
    written = insert(TaskCount).from_select(columns, totals).returning(TaskCount.id).cte("written")
    folded = select(func.count()).select_from(gone).where(~gone.c.folded).add_cte(written)
    return (await session.execute(folded)).scalar_one()
