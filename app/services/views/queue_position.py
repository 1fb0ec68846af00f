"""Show the position of a run in its project's queue, as an SQL expression."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select, tuple_
from sqlalchemy.orm import aliased

from app.models import Run
from app.models.runs.run import is_waiting

# Keys that a run's `state` has on the wire only: computed at each reading, and read from a column.
QUEUE_POSITION = "queue_position"
ATTEMPTS = "attempts"
# The largest position that is counted: a page of runs must not count a long queue a hundred times.
LAST_POSITION = 1000


def position(run: Any = Run, last: int = LAST_POSITION) -> ColumnElement[int | None]:
    """Return a run's position among the waiting runs of its project, from 1 to `last`; NULL if it does not wait."""
    return case((is_waiting(run), _ahead_of(run, last) + 1))


def _ahead_of(run: Any, last: int) -> ColumnElement[int]:
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
