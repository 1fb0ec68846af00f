"""The next run for a worker: the oldest in the project with the fewest performed runs, if that is below its limit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.db.statements import Prepared
from app.models import Project, Run
from app.models.runs.run import is_waiting
from app.services.views.queue_position import count_performed

_LOCK_NAME = "taskbeacon:claims-of-runs"


def longest_waiting(project_id: Any) -> ColumnElement[UUID]:
    """Return the SQL subquery for the id of the run that has waited longest in a project; NULL if no run waits.

    The subquery locks the run's row. If another transaction cancels the run, it waits, and then takes the next run.
    """
    waiting = aliased(Run)
    return (
        select(waiting.id)
        .where(waiting.project_id == project_id, is_waiting(waiting))
        .order_by(waiting.dispatch_requested_at, waiting.id)
        .limit(1)
        .with_for_update()
        .scalar_subquery()
    )


async def lock_claims(session: AsyncSession) -> None:
    """Serialise claims until this transaction ends, so that each counts the ones before it."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK_NAME, 0))))


def next_project(limit: Any) -> ColumnElement[int]:
    """Return the subquery for the project whose run is claimed next: of those with waiting runs, the least busy one.

    Projects of which workers already perform `limit` runs are passed over (0: no limit). NULL if none is left.
    """
    waiting = select(func.min(Run.project_id).label("id")).where(is_waiting()).cte("waiting", recursive=True)
    # One look at the index for each project, so that a long queue takes no longer than a short one.
    later = aliased(Run)
    following = select(func.min(later.project_id)).where(is_waiting(later), later.project_id > waiting.c.id)
    waiting = waiting.union_all(select(following.scalar_subquery()).where(waiting.c.id.is_not(None)))
    active = count_performed(Project.id).correlate(Project).lateral("active")
    return (
        select(Project.id)
        .join(waiting, waiting.c.id == Project.id)
        .join(active, true())
        .where(or_(limit == 0, active.c.count < limit))
        .order_by(active.c.count, Project.claimed_at.nulls_first(), Project.id)
        .limit(1)
        .scalar_subquery()
    )


async def find_next_project(session: AsyncSession, limit: int) -> int | None:
    """Return the `next_project`; None if there is no run to claim."""
    (project_id,) = await _NEXT.one(session, {"limit": limit})
    return project_id


_NEXT = Prepared(select(next_project(bindparam("limit", type_=BigInteger()))))


def startable(limit: int, *, asked_before: datetime) -> Select[UUID]:
    """Return a SELECT of runs that wait since before `asked_before`, within the `limit` of each project (0: none)."""
    order = (Run.dispatch_requested_at, Run.id)
    if not limit:
        return select(Run.id).where(is_waiting(), Run.dispatch_requested_at <= asked_before).order_by(*order)
    place = func.row_number().over(partition_by=Run.project_id, order_by=order).label("place")
    line = select(*order, Run.project_id, place).where(is_waiting()).subquery()
    return (
        select(line.c.id)
        .where(
            line.c.dispatch_requested_at <= asked_before,
            # Redundant, but with it PostgreSQL stops early in a long queue.
            line.c.place <= limit,
            line.c.place + count_performed(line.c.project_id).scalar_subquery() <= limit,
        )
        .order_by(line.c.dispatch_requested_at, line.c.id)
    )
