"""The protocol of the job queue, and its only implementation, on arq.

A job is a name and plain arguments in JSON. Its id is derived from its row, so it is queued once at a time,
however often it is enqueued. The rows in the database, not Redis, are the record of the work to do. A process
that enqueues a job wakes the workers (`wakes.wake`), which otherwise poll only twice a second.
"""

from datetime import timedelta
from typing import Any, Protocol

import orjson
from arq.connections import ArqRedis
from arq.constants import job_key_prefix, retry_key_prefix
from typing_extensions import override

from app.clients.redis import create_pool
from app.clients.wakes import wake
from app.clock import utcnow

QUEUE_NAME = "taskbeacon:jobs"
# For short jobs, which must not wait for a slot that a run holds.
CHORES_QUEUE = "taskbeacon:chores"

# arq starts a job when it is due by the worker's clock. Jobs are due at once, so they are dated back by more than the
# clocks of two machines may differ (services/shared_clock.py).
_BACKDATED = timedelta(minutes=15)
# An expired job is enqueued again from its row.
_KEPT = timedelta(days=1)


class JobQueue(Protocol):
    """A queue of jobs, which workers perform."""

    async def enqueue(
        self, job: str, *, job_id: str, arguments: dict[str, Any], queue_name: str = QUEUE_NAME
    ) -> bool:
        """Enqueue the job named `job`; return False if a job with this id is queued or running already."""
        ...

    async def withdraw(self, *, job_id: str, queue_name: str = QUEUE_NAME) -> None:
        """Take a job off the queue.

        A job calls this itself at its start, so that it can be enqueued again.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        ...


class ArqQueue(JobQueue):
    """The job queue in Redis, on arq; `taskbeacon worker` performs the jobs."""

    def __init__(self, redis_url: str) -> None:
        self._redis = ArqRedis(
            connection_pool=create_pool(redis_url),
            job_serializer=encode_job,
            job_deserializer=decode_job,
            default_queue_name=QUEUE_NAME,
        )

    @override
    async def enqueue(
        self, job: str, *, job_id: str, arguments: dict[str, Any], queue_name: str = QUEUE_NAME
    ) -> bool:
        queued = await self._redis.enqueue_job(
            job,
            _job_id=job_id,
            _queue_name=queue_name,
            _defer_until=utcnow() - _BACKDATED,
            _expires=_KEPT,
            **arguments,
        )
        if queued is None:
            return False
        await wake(self._redis, queue_name)
        return True

    @override
    async def withdraw(self, *, job_id: str, queue_name: str = QUEUE_NAME) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(queue_name, job_id)
            pipe.delete(job_key_prefix + job_id, retry_key_prefix + job_id)
            await pipe.execute()

    @override
    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


def encode_job(job: dict[str, Any]) -> bytes:
    """Return arq's job record as JSON; with pickle, access to Redis would allow running code in a worker."""
    return orjson.dumps(job, default=str)


def decode_job(data: bytes) -> dict[str, Any]:
    """Return the job record that `encode_job` made."""
    job: dict[str, Any] = orjson.loads(data)
    return job
