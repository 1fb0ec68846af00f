"""Which runs wait for a worker, in which order, and which are held: of a project, and by which job.

The order is that of `dispatch_requested_at`, in each project by itself; Redis carries jobs, but no order. Expressions
for the statements of others: nothing is written here.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.enums import RunStatus
from app.models import Run
from app.services.views.queue import is_waiting

_LOCK_NAME = "taskbeacon:project-runs:"


def longest_waiting(run_id: Any) -> ColumnElement[UUID]:
    """Return the id of the run that is next in the project of `run_id`, locked; NULL if none waits.

    A claim that finds the row locked waits and takes the next, so that concurrent claims get different runs.
    """
    waiting, named = aliased(Run), aliased(Run)
    return (
        select(waiting.id)
        .where(
            waiting.project_id == select(named.project_id).where(named.id == run_id).scalar_subquery(),
            is_waiting(waiting),
        )
        .order_by(waiting.dispatch_requested_at, waiting.id)
        .limit(1)
        .with_for_update()
        .scalar_subquery()
    )


async def lock_room(session: AsyncSession, run_id: UUID) -> None:
    """Have claims of runs of this project take turns until the end of the transaction: each counts the others'."""
    name = func.concat(_LOCK_NAME, Run.project_id)
    await session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))).where(Run.id == run_id)
    )


def has_room(limit: Any) -> ColumnElement[bool]:
    """Return whether workers perform fewer than `limit` runs of the project of the selected run."""
    room: ColumnElement[bool] = _in_hand(Run.project_id) < limit
    return room


def _in_hand(project_id: Any) -> ColumnElement[int]:
    held = aliased(Run)
    return (
        select(func.count())
        .where(
            held.project_id == project_id,
            held.status == RunStatus.IN_PROGRESS,
            held.lease_expires_at.is_not(None),
        )
        .scalar_subquery()
    )


def startable(limit: int, *, asked_before: datetime) -> Select[UUID]:
    """Return the runs that wait since `asked_before`, longest first; with a limit, as many of a project as have room."""
    order = (Run.dispatch_requested_at, Run.id)
    if not limit:
        return select(Run.id).where(is_waiting(), Run.dispatch_requested_at <= asked_before).order_by(*order)
    place = func.row_number().over(partition_by=Run.project_id, order_by=order).label("place")
    line = select(*order, Run.project_id, place).where(is_waiting()).subquery()
    return (
        select(line.c.id)
        .where(
            line.c.dispatch_requested_at <= asked_before,
            # Says nothing new, but lets PostgreSQL leave a long line early.
            line.c.place <= limit,
            line.c.place + _in_hand(line.c.project_id) <= limit,
        )
        .order_by(line.c.dispatch_requested_at, line.c.id)
    )


def held_by(run_id: Any, owner: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on `Run` that leave the run only while the job `owner` has it; of values, or parameters."""
    return (Run.id == run_id, Run.status == RunStatus.IN_PROGRESS, Run.lease_owner == owner)
