"""Count the tasks that a caller sees, and find out whether any has changed, without reading them.

Both numbers are sums over `task_counts`; triggers write its rows in the transaction of each change (ADR 30). The number
of changes is the version of a caller's view. It never falls, and two database snapshots with the same version contain
the same tasks, in the same order, under every filter.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, bindparam, cast, func, select

from app.models import TaskCount
from app.services.access.visibility import audiences_of

# The values are those of `access.visibility`.
_SEEN = (
    TaskCount.project_id == bindparam("visible_project_id"),
    TaskCount.audience.in_(audiences_of(bindparam("visible_user_id", type_=BigInteger))),
)


def version() -> ScalarSelect[int]:
    """Return the SQL expression for the version of the caller's view of tasks, a number that never falls.

    It is the number of changes so far to tasks that the caller sees or has seen: while it stays the same, so do all
    task lists of the caller. The statement needs the parameters of `visibility`.
    """
    return _sum(TaskCount.changes)


def tasks_counted(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """Return the SQL expression for the number of tasks that the caller sees and that meet the conditions.

    The number is computed from the stored counts `TaskCount`, so the conditions may use only the flags in it. The
    statement needs the parameters of `visibility`.
    """
    return _sum(TaskCount.tasks, *conditions)


def _sum(column: Any, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    # PostgreSQL adds up to `numeric`, which would arrive as a Decimal.
    total = cast(func.coalesce(func.sum(column), 0), BigInteger)
    return select(total).where(*_SEEN, *conditions).scalar_subquery()
