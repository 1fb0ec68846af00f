"""The position of a run in its project's queue, as an expression."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select, tuple_
from sqlalchemy.orm import aliased

from app.enums import RunStatus
from app.models import Run

# A key of a run's state that is computed at each reading.
QUEUE_POSITION = "queue_position"
ATTEMPTS = "attempts"
# The largest position that is counted: a page of runs must not count a long queue a hundred times.
LAST_POSITION = 1000


def is_waiting(run: Any = Run) -> ColumnElement[bool]:
    """Return whether a run waits for a worker; a run without a dispatch request is its client's own (contract 13.1)."""
    waits: ColumnElement[bool] = (run.status == RunStatus.QUEUED) & run.dispatch_requested_at.is_not(None)
    return waits


def position(run: Any = Run) -> ColumnElement[int | None]:
    """Return the position of a run among its project's waiting runs, from 1; NULL if it does not wait."""
    return case((is_waiting(run), _ahead_of(run) + 1))


def _ahead_of(run: Any) -> ColumnElement[int]:
    """Return the number of runs that wait before this one, which the same statement may insert and not see."""
    ahead = aliased(Run)
    place = (tuple_(ahead.dispatch_requested_at, ahead.id), tuple_(run.dispatch_requested_at, run.id))
    counted = (
        select(ahead.id)
        .where(ahead.project_id == run.project_id, is_waiting(ahead), place[0] < place[1])
        .limit(LAST_POSITION - 1)
        .correlate(run)
        .subquery()
    )
    return select(func.count()).select_from(counted).correlate(run).scalar_subquery()
