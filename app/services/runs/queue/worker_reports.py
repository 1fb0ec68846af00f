"""What workers report of themselves, in Redis for a minute, so that a report ends with its worker."""

from collections.abc import Mapping, Sequence

import orjson
from typing_extensions import TypedDict

from app.clients.redis import RedisClient
from app.clock import utcnow

REPORT_SECONDS = 20.0
_LIFE_SECONDS = 60
_REPORTS = "taskbeacon:workers"
_MOST_WORKERS = 1000


class WorkerReport(TypedDict):
    # For each agent: whether its program is installed, and whether the worker has a key for it.
    agents: Mapping[str, tuple[bool, bool]]
    slots: int
    warnings: Sequence[str]  # what it cannot hold of check sets


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
