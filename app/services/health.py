"""Check that the database, Redis and the object store respond."""

import asyncio
from collections.abc import Awaitable

import structlog

from app.clients.object_store import ObjectStore
from app.clients.redis import RedisClient
from app.db import SessionFactory, unit_of_work
from app.schemas.health import ReadinessOut
from app.services.schema_revision import schema_is_current

_TIMEOUT_SECONDS = 3
_OK = "ok"

log = structlog.get_logger(__name__)


async def check_readiness(
    sessions: SessionFactory, redis: RedisClient, store: ObjectStore
) -> tuple[ReadinessOut, bool]:
    """Return the state of the database, Redis and the object store, and whether all three are ready."""
    database, redis_state, object_store = await asyncio.gather(
        _state("database", _database(sessions)),
        _state("redis", _redis(redis)),
        _state("object_store", _object_store(store)),
    )
    is_ready = database == redis_state == object_store == _OK
    return {
        "status": "ok" if is_ready else "unavailable",
        "database": database,
        "redis": redis_state,
        "object_store": object_store,
    }, is_ready


async def _state(name: str, check: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check
    except TimeoutError:
        return "no answer"
    except Exception as error:  # noqa: BLE001 - any error means not ready; the log has it
        log.warning("readiness.failed", part=name, error=repr(error))
        return "unavailable"


async def _database(sessions: SessionFactory) -> str:
    async with unit_of_work(sessions) as session:
        return _OK if await schema_is_current(session) else "schema is not current: run `taskbeacon migrate`"


async def _redis(redis: RedisClient) -> str:
    await redis.ping()
    return _OK


async def _object_store(store: ObjectStore) -> str:
    await store.check()
    return _OK
