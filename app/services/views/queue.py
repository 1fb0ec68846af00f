"""The place of a run in its project's queue, as an expression."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select, tuple_
from sqlalchemy.orm import aliased

from app.enums import RunStatus
from app.models import Run

# Keys of a run's state that are computed when it is read.
QUEUE_POSITION = "queue_position"
ATTEMPTS = "attempts"
# Positions are counted up to here: a page of runs must not count a long line a hundred times.
LAST_POSITION = 1000


def is_waiting(run: Any = Run) -> ColumnElement[bool]:
    """Return whether a run waits for a worker; one without a request is its client's (contract 13.1)."""
    waits: ColumnElement[bool] = (run.status == RunStatus.QUEUED) & run.dispatch_requested_at.is_not(None)
    return waits


def position(run: Any = Run) -> ColumnElement[int | None]:
    """Return the place of a run among those of its project that wait, from 1; NULL for one that does not wait."""
    return case((is_waiting(run), _ahead_of(run) + 1))


def _ahead_of(run: Any) -> ColumnElement[int]:
    """Return how many runs wait before this one; it may be one that the same statement writes, and does not see."""
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
