"""The reports of workers about themselves. Each is in Redis for a minute, so that it disappears with its worker."""

from collections.abc import Mapping, Sequence

import orjson
from typing_extensions import TypedDict

from app.clients.expiring_values import find_members, keep_member, remove_member
from app.clients.redis import RedisClient

REPORT_SECONDS = 20.0
_LIFE_SECONDS = 60
_REPORTS = "taskbeacon:workers"
_MOST_WORKERS = 1000


class WorkerReport(TypedDict):
    # For each agent: whether its program is installed, and whether the worker has a key for it.
    agents: Mapping[str, tuple[bool, bool]]
    slots: int
    warnings: Sequence[str]  # networks of check sets that it cannot enforce


async def report_worker(redis: RedisClient, worker: str, report: WorkerReport) -> None:
    await keep_member(redis, _REPORTS, worker, orjson.dumps(report), seconds=_LIFE_SECONDS)


async def withdraw_report(redis: RedisClient, worker: str) -> None:
    await remove_member(redis, _REPORTS, worker)


async def read_reports(redis: RedisClient) -> list[WorkerReport]:
    """Return the reports of the workers that are alive, of a thousand at most."""
    return [orjson.loads(report) for report in await find_members(redis, _REPORTS, most=_MOST_WORKERS)]
