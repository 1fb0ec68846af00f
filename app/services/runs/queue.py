"""Runs that wait for a worker, their order in a project, runs that jobs hold, and what workers report of themselves.

The report of a worker is in Redis and has a life of a minute, so that it ends with its worker.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from typing_extensions import TypedDict

from app.clients.redis import RedisClient
from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import RunStatus
from app.models import Project, Run
from app.models.base import constant
from app.models.runs.run import is_performed, is_waiting
from app.services.storage_keys import RunRef

_LOCK_NAME = "taskbeacon:claims-of-runs"
REPORT_SECONDS = 20.0
_LIFE_SECONDS = 60
_REPORTS = "taskbeacon:workers"
_MOST_WORKERS = 1000


class Claim(NamedTuple):
    """The right of one job to perform a run. `owner` is the unique name under which the database holds it."""

    run_id: UUID
    task_id: UUID
    project_id: int
    owner: str
    attempt: int = 1
    asked_at: datetime | None = None
    traceparent: str | None = None

    @property
    def ref(self) -> RunRef:
        return RunRef(self.project_id, self.task_id, self.run_id)


class QueueFigures(NamedTuple):
    queued: int
    oldest_asked_at: datetime | None
    active: int

    @property
    def oldest_seconds(self) -> float:
        """How long the run that has waited longest has waited; 0 if none waits."""
        if self.oldest_asked_at is None:
            return 0.0
        return max(0.0, (utcnow() - self.oldest_asked_at).total_seconds())


class WorkerReport(TypedDict):
    # For each agent: whether its program is installed, and whether the worker has a key for it.
    agents: Mapping[str, tuple[bool, bool]]
    slots: int
    warnings: Sequence[str]  # what it cannot hold of check sets


_CLAIMED = Prepared(
    select(
        Run.id.label("run_id"),
        Run.task_id,
        Run.project_id,
        Run.lease_owner.label("owner"),
        *(Run.attempts.label("attempt"), Run.dispatch_requested_at.label("asked_at"), Run.traceparent),
    ).where(Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_owner == bindparam("asked_by")),
    Claim,
)


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
    """Wait until no other transaction claims runs, and keep others waiting until this one ends.

    So each claim counts the ones before it.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(_LOCK_NAME, 0))))


def next_project(limit: Any) -> ColumnElement[int]:
    """Return the SQL subquery for the project of which a run is claimed next; NULL if there is none.

    Of the projects with waiting runs, and with fewer than `limit` runs that workers perform (0: no limit), this is the
    one with the fewest of the latter, and of equal ones the one whose last claim is longest ago.
    """
    waiting = select(func.min(Run.project_id).label("id")).where(is_waiting()).cte("waiting", recursive=True)
    # From each project to the next by one look at the index: a long queue takes no longer than a short one.
    later = aliased(Run)
    following = select(func.min(later.project_id)).where(is_waiting(later), later.project_id > waiting.c.id)
    waiting = waiting.union_all(select(following.scalar_subquery()).where(waiting.c.id.is_not(None)))
    active = _count_in_hand(Project.id).correlate(Project).lateral("active")
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


def _count_in_hand(project_id: Any) -> Select[int]:
    held = aliased(Run)
    counted = func.count().label("count")
    return select(counted).select_from(held).where(held.project_id == project_id, is_performed(held))


_NEXT = Prepared(select(next_project(bindparam("limit", type_=BigInteger()))))


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
            line.c.place + _count_in_hand(line.c.project_id).scalar_subquery() <= limit,
        )
        .order_by(line.c.dispatch_requested_at, line.c.id)
    )


async def find_claimed(session: AsyncSession, *, owner: str) -> Claim | None:
    return await _CLAIMED.first(session, {"asked_by": owner})


def _select_figures(*of: ColumnElement[bool]) -> Select[int, datetime | None, int]:
    waiting = (is_waiting(), *of)
    # Each from an index of its own: the oldest is the first entry of one.
    return select(
        select(func.count()).select_from(Run).where(*waiting).scalar_subquery().label("queued"),
        select(func.min(Run.dispatch_requested_at))
        .where(*waiting)
        .scalar_subquery()
        .label("oldest_asked_at"),
        select(func.count()).select_from(Run).where(is_performed(), *of).scalar_subquery().label("active"),
    )


_FIGURES = Prepared(_select_figures(), QueueFigures)
_FIGURES_OF_PROJECT = Prepared(_select_figures(Run.project_id == bindparam("project_id")), QueueFigures)


async def read_figures(session: AsyncSession, project_id: int | None = None) -> QueueFigures:
    """Return the figures of a project, or of all together (contract 20)."""
    if project_id is None:
        return await _FIGURES.one(session)
    return await _FIGURES_OF_PROJECT.one(session, {"project_id": project_id})


async def report_worker(redis: RedisClient, worker: str, report: WorkerReport) -> None:
    now = utcnow().timestamp()
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(f"{_REPORTS}:{worker}", orjson.dumps(report), ex=_LIFE_SECONDS)
        pipeline.zremrangebyscore(_REPORTS, "-inf", now - _LIFE_SECONDS)
        pipeline.zadd(_REPORTS, {worker: now})
        await pipeline.execute()


async def withdraw_report(redis: RedisClient, worker: str) -> None:
    await redis.delete(f"{_REPORTS}:{worker}")


async def read_reports(redis: RedisClient) -> list[WorkerReport]:
    """Return the reports of the workers that are alive, of a thousand at most."""
    workers = await redis.zrevrange(_REPORTS, 0, _MOST_WORKERS - 1)
    found = await redis.mget([f"{_REPORTS}:{worker.decode()}" for worker in workers]) if workers else []
    return [orjson.loads(report) for report in found if report is not None]
