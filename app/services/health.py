"""Check that the database, Redis and the object store respond, and collect the metrics."""

import asyncio
from collections.abc import Awaitable
from functools import partial

import structlog
from prometheus_client import generate_latest

from app.api_limits import METRICS_SECONDS
from app.clients.redis import RedisClient, ping
from app.clients.storage.object_store import ObjectStore
from app.coroutines.shielded import JoinedWork
from app.db import SessionFactory, unit_of_work
from app.db.schema_revision import schema_is_current
from app.schemas.health import ReadinessOut
from app.services.runs.run_metrics import measure_queue

_TIMEOUT_SECONDS = 3
_OK = "ok"

log = structlog.get_logger(__name__)


class Health:
    """The health of a process. Its routes are public and unlimited: concurrent requests share one reading."""

    def __init__(self) -> None:
        self._readiness = JoinedWork[tuple[ReadinessOut, bool]]()
        self._metrics = JoinedWork[bytes](seconds=METRICS_SECONDS)

    async def read_metrics(self, sessions: SessionFactory, redis: RedisClient) -> bytes:
        """Return the metrics of this process, the queue and the workers for Prometheus, at most a second old."""

        async def read() -> bytes:
            await measure_queue(sessions, redis)
            return await asyncio.to_thread(generate_latest)

        return await self._metrics.join(read)

    async def check_readiness(
        self, sessions: SessionFactory, redis: RedisClient, store: ObjectStore
    ) -> tuple[ReadinessOut, bool]:
        return await self._readiness.join(partial(_check, sessions, redis, store))


async def _check(
    sessions: SessionFactory, redis: RedisClient, store: ObjectStore
) -> tuple[ReadinessOut, bool]:
    states = await asyncio.gather(
        _state("database", _database(sessions)),
        _state("redis", ping(redis)),
        _state("object_store", store.bucket.check()),
    )
    is_ready = set(states) == {_OK}
    database, redis_state, object_store = states
    return {
        "status": "ok" if is_ready else "unavailable",
        "database": database,
        "redis": redis_state,
        "object_store": object_store,
    }, is_ready


async def _state(name: str, check: Awaitable[str | None]) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check or _OK
    except TimeoutError:
        return "no answer"
    except Exception as error:  # noqa: BLE001 - any error means not ready; the log has it
        log.warning("readiness.failed", part=name, error=repr(error))
        return "unavailable"


async def _database(sessions: SessionFactory) -> str | None:
    async with unit_of_work(sessions) as session:
        return None if await schema_is_current(session) else "schema is not current: run `taskbeacon migrate`"
