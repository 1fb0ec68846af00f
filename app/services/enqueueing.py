"""Put jobs on the queue in Redis. No job is lost if Redis is down: a sweep finds its database row later."""

from collections.abc import Awaitable
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import ReadOnly, TypedDict

from app.clients.job_queue import CHECKS_QUEUE, QUEUE_NAME, SCANS_QUEUE, JobQueue
from app.clients.redis import RedisClient
from app.clients.wakes import publish_change
from app.db import after_commit
from app.ids import new_id
from app.outages import REDIS_ERRORS

EXECUTE_RUN = "execute_run"
VERIFY_RUN = "verify_run"
SCAN_REPOSITORY = "scan_repository"

log = structlog.get_logger(__name__)


# The arguments of jobs. Their names are part of the protocol: a worker may get a job that another release has queued.
class RunArguments(TypedDict):
    run_id: ReadOnly[str]


class ScanArguments(TypedDict):
    project_id: ReadOnly[int]
    repository: ReadOnly[str]


def enqueue_run_after_commit(session: AsyncSession, queue: JobQueue, run_id: UUID) -> None:
    """Put the job of a run on the queue after the session's transaction commits: only then can workers see the run."""
    after_commit(session, partial(enqueue_run, queue, run_id))


def wake_run_worker_after_commit(session: AsyncSession, redis: RedisClient, run_id: UUID) -> None:
    after_commit(session, partial(publish_change, redis, run_id))


def run_job_id(run_id: UUID) -> str:
    return f"{EXECUTE_RUN}:{run_id}"


async def enqueue_run(queue: JobQueue, run_id: UUID) -> bool:
    """Put the job of a run on the queue at once. Return False if the job is on the queue already, else True."""
    arguments = RunArguments(run_id=str(run_id))
    return await queue.enqueue(EXECUTE_RUN, job_id=run_job_id(run_id), arguments=arguments)


def enqueue_verification_after_commit(
    session: AsyncSession, queue: JobQueue, run_id: UUID, attempt: int
) -> None:
    """Put the job of an attempt to check a run on the queue, after the session's transaction commits."""
    after_commit(session, partial(enqueue_verification, queue, run_id, attempt))


async def enqueue_verification(queue: JobQueue, run_id: UUID, attempt: int) -> bool:
    """Put the job of an attempt to check a run on the queue at once; return False if it is there already."""
    job_id = f"{VERIFY_RUN}:{run_id}:{attempt}"
    # The job has no arguments: it claims the attempt that has waited longest, which may be another one.
    return await queue.enqueue(VERIFY_RUN, job_id=job_id, arguments={}, queue_name=CHECKS_QUEUE)


async def enqueue_scan(queue: JobQueue, project_id: int, repository: str) -> bool:
    """Put the job that looks for checks in a repository on the queue; return False if it is there already."""
    return await queue.enqueue(
        SCAN_REPOSITORY,
        job_id=f"{SCAN_REPOSITORY}:{project_id}:{repository}",
        arguments=ScanArguments(project_id=project_id, repository=repository),
        queue_name=SCANS_QUEUE,
    )


async def remove_job(queue: JobQueue, job_id: str, *, queue_name: str = QUEUE_NAME) -> None:
    """Remove a job from its queue when it begins, so that its id can be queued again. A failure is only logged."""
    await _without_failing(queue.remove(job_id=job_id, queue_name=queue_name))


async def enqueue_next_run(queue: JobQueue) -> None:
    """Enqueue a job for the run that is next, under a new id; a sweep repairs a failure."""
    await _without_failing(enqueue_run(queue, new_id()))


async def _without_failing(effect: Awaitable[object]) -> None:
    try:
        await effect
    except REDIS_ERRORS as error:
        log.warning("queue.unavailable", error=repr(error))
