"""The jobs there are, and how a request asks for one: after its commit, never before.

A job that could not be queued is not lost: the row that asked for it is found by a sweeper (services/runs/recovery.py)
or by the periodic delivery (worker/main.py).
"""

from collections.abc import Awaitable
from uuid import UUID

import structlog
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.queue import CHORES_QUEUE, JobQueue
from app.clients.redis import RedisClient
from app.clients.run_changes import publish_change
from app.db import after_commit

EXECUTE_RUN = "execute_run"
DELIVER_NOTIFICATIONS = "deliver_notifications"

log = structlog.get_logger(__name__)


def request_run(session: AsyncSession, queue: JobQueue, run_id: UUID) -> None:
    """Queue the run once this transaction is committed: earlier, a worker would not see it."""

    async def enqueue() -> None:
        await enqueue_run(queue, run_id)

    after_commit(session, enqueue)


def wake_run_worker(session: AsyncSession, redis: RedisClient, run_id: UUID) -> None:
    """Wake the worker that performs the run, if one does, once this transaction is committed."""

    async def publish() -> None:
        await publish_change(redis, run_id)

    after_commit(session, publish)


async def enqueue_run(queue: JobQueue, run_id: UUID) -> bool:
    """Queue the run; False when it is queued already."""
    return await queue.enqueue(EXECUTE_RUN, job_id=_job_id(run_id), arguments={"run_id": str(run_id)})


async def withdraw_run(queue: JobQueue, run_id: UUID) -> None:
    """Take the run's job off the queue, for the job itself: from here on the row alone remembers the run.

    An outage of Redis is logged and nothing more: the job then begins once again, and stops at the claim.
    """
    await _without_failing(queue.withdraw(job_id=_job_id(run_id)))


async def enqueue_next_run(queue: JobQueue, run_id: UUID) -> None:
    """Queue another job for the project of a run that ended, for one that its limit kept waiting.

    After the commit, so that a claim which still counted this run has been and gone. An outage of Redis is logged and
    nothing more: the sweeper finds who waits.
    """
    await _without_failing(enqueue_run(queue, run_id))


async def _without_failing(effect: Awaitable[object]) -> None:
    try:
        await effect
    except (RedisError, OSError) as error:
        log.warning("queue.unavailable", error=repr(error))


def _job_id(run_id: UUID) -> str:
    return f"{EXECUTE_RUN}:{run_id}"


def enqueue_push_delivery(session: AsyncSession, queue: JobQueue, run_id: UUID) -> None:
    """Have the pushes about a run delivered once this transaction is committed; without this they wait for the sweep.

    The run is part of the job's id: a delivery that is ending at this moment must not stand for this one.
    """

    async def enqueue() -> None:
        await queue.enqueue(
            DELIVER_NOTIFICATIONS,
            job_id=f"{DELIVER_NOTIFICATIONS}:{run_id}",
            arguments={},
            queue_name=CHORES_QUEUE,
        )

    after_commit(session, enqueue)
