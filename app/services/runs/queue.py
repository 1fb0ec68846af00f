"""SQL expressions for runs that wait for a worker, their order in a project, and runs that jobs hold."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.enums import RunStatus
from app.models import Run
from app.models.base import constant
from app.models.runs.runs import is_waiting
from app.services.storage_keys import RunRef
from app.statements import Prepared

_LOCK_NAME = "taskbeacon:project-runs:"


class Claim(NamedTuple):
    """The right of one job to perform a run. `owner` is the unique name under which the database holds it."""

    run_id: UUID
    task_id: UUID
    project_id: int
    owner: str

    @property
    def ref(self) -> RunRef:
        return RunRef(self.project_id, self.task_id, self.run_id)


_CLAIMED = Prepared(
    select(Run.id.label("run_id"), Run.task_id, Run.project_id, Run.lease_owner.label("owner")).where(
        Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_owner == bindparam("asked_by")
    ),
    Claim,
)


def longest_waiting(run_id: Any) -> ColumnElement[UUID]:
    """Return the SQL subquery for the id of the run that has waited longest in the project of `run_id`.

    The id is NULL if no run waits. The subquery locks the run's row. A claim that finds the row locked waits and then
    takes the next run, so that concurrent claims get different runs.
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
    """Wait until no other transaction claims runs of the run's project, and keep others waiting until this one ends."""
    name = func.concat(_LOCK_NAME, Run.project_id)
    await session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))).where(Run.id == run_id)
    )


def has_room(limit: Any) -> ColumnElement[bool]:
    """Return an SQL condition for queries of runs: workers perform fewer than `limit` runs of the row's project now."""
    room: ColumnElement[bool] = _in_hand(Run.project_id) < limit
    return room


def _in_hand(project_id: Any) -> ColumnElement[int]:
    held = aliased(Run)
    return (
        select(func.count())
        .where(
            held.project_id == project_id,
            held.status == constant(RunStatus.IN_PROGRESS),
            held.lease_expires_at.is_not(None),
        )
        .scalar_subquery()
    )


def startable(limit: int, *, asked_before: datetime) -> Select[UUID]:
    """Return a SELECT of the ids of runs that have waited for a worker since before `asked_before`.

    The run that has waited longest comes first. `limit` is the maximum number of runs of a project that workers perform
    at a time: runs that would exceed it are left out. A `limit` of 0 stands for no limit.
    """
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
            line.c.place + _in_hand(line.c.project_id) <= limit,
        )
        .order_by(line.c.dispatch_requested_at, line.c.id)
    )


def held_by(run_id: Any, owner: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the SQL conditions that select a run in progress only while the job `owner`, or None, holds it."""
    return (Run.id == run_id, Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_owner == owner)


async def find_claimed(session: AsyncSession, *, owner: str) -> Claim | None:
    return await _CLAIMED.first(session, {"asked_by": owner})
