"""The queue of jobs, on arq. A job is a name and ids; the record of the work to do is in the database."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
from arq.connections import ArqRedis
from arq.constants import job_key_prefix, retry_key_prefix

from app.clients.redis import create_pool
from app.clients.wakes import wake
from app.clock import utcnow
from app.json_types import JsonDict

QUEUE_NAME = "taskbeacon:jobs"
# Checks have slots of their own, so that they and agents do not keep each other waiting.
CHECKS_QUEUE = "taskbeacon:checks"
# For scans, which a client waits for: checks that take hours must not delay them.
SCANS_QUEUE = "taskbeacon:scans"
# For short jobs, which must not wait for a slot that a run holds.
CHORES_QUEUE = "taskbeacon:chores"

# arq starts a job when it is due by the worker's clock. Jobs are due at once, so they are dated back by more than the
# clocks of two machines may differ (db/shared_clock.py).
_BACKDATED = timedelta(minutes=15)
# An expired job is enqueued again from its row.
_KEPT = timedelta(days=1)


class JobQueue:
    """The queue of jobs in Redis, by the library arq. The processes of `taskbeacon worker` perform the jobs."""

    def __init__(self, redis_url: str) -> None:
        self._redis = ArqRedis(connection_pool=create_pool(redis_url), job_serializer=encode_job)

    async def enqueue(
        self, job: str, *, job_id: str, arguments: Mapping[str, Any], queue_name: str = QUEUE_NAME
    ) -> bool:
        """Add a job and wake a worker; return False, with nothing changed, if its id is queued or running."""
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

    async def remove(self, *, job_id: str, queue_name: str = QUEUE_NAME) -> None:
        """Remove a job from its queue, so that its id can be added again, also by itself while it runs."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(queue_name, job_id)
            pipe.delete(job_key_prefix + job_id, retry_key_prefix + job_id)
            await pipe.execute()

    async def aclose(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


def encode_job(job: JsonDict) -> bytes:
    """Encode arq's job as JSON: with pickle, access to Redis would be enough to run code in a worker."""
    return orjson.dumps(job, default=str)


def decode_job(data: bytes) -> JsonDict:
    job: JsonDict = orjson.loads(data)
    return job
