"""Show the position of a run in its project's queue, and why it waits there, as SQL expressions."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, case, func, select, text, tuple_
from sqlalchemy.orm import aliased

from app.models import Run
from app.models.base import literal_int
from app.models.runs.run import is_performed, is_waiting

# Keys of a run's `state` that are not stored there: of a waiting run, and the number of attempts, which is a column.
IN_QUEUE = ("queue_position", "waits_for")
ATTEMPTS = "attempts"
# The largest position that is counted, since a page may show a hundred runs of a long queue.
LAST_POSITION = 1000
# The parameter for the most runs of a project that workers perform at a time; 0: no limit. The process gives its value
# to its sessions (`runtime.py`).
PROJECT_LIMIT = "project_concurrency"


def queue_columns(run: type[Run]) -> dict[str, ColumnElement[Any]]:
    """Return the expressions for the keys `IN_QUEUE`, which are computed at each reading; NULL for other runs."""
    return dict(zip(IN_QUEUE, (position(run), _wait_reason(run)), strict=True))


def position(run: type[Run] = Run, last: int = LAST_POSITION) -> ColumnElement[int | None]:
    """Return a run's position among the waiting runs of its project, from 1 to `last`; NULL if it does not wait."""
    return case((is_waiting(run), _ahead_of(run, last) + 1))


def _wait_reason(run: type[Run]) -> ColumnElement[str | None]:
    performed = count_performed(run.project_id).correlate(run).scalar_subquery()
    # Without a limit nothing is counted.
    is_full = bindparam(PROJECT_LIMIT, 0, BigInteger).between(literal_int(1), performed)
    return case((is_waiting(run), case((is_full, text("'limit'")), else_=text("'slot'"))))


def count_performed(project_id: Any) -> Select[int]:
    """Return the SELECT of the number of runs of a project that workers perform."""
    held = aliased(Run)
    return select(func.count().label("count")).where(held.project_id == project_id, is_performed(held))


def _ahead_of(run: type[Run], last: int) -> ColumnElement[int]:
    ahead = aliased(Run)
    place = (tuple_(ahead.dispatch_requested_at, ahead.id), tuple_(run.dispatch_requested_at, run.id))
    counted = (
        select(ahead.id)
        .where(ahead.project_id == run.project_id, is_waiting(ahead), place[0] < place[1])
        .limit(last - 1)
        .correlate(run)
        .subquery()
    )
    return select(func.count()).select_from(counted).correlate(run).scalar_subquery()
