"""The health of a process."""

import asyncio

from app.clients.redis import RedisClient, create_redis
from app.clients.storage.object_store import ObjectStore
from app.db import SessionFactory
from app.services.health import Health


async def test_each_process_context_has_a_health_of_its_own(
    sessions: SessionFactory, redis: RedisClient, store: ObjectStore
) -> None:
    """Regression: two of them in one process were answered what the first had asked about its servers."""
    async with create_redis("redis://127.0.0.1:1/0") as nowhere:
        answers = await asyncio.gather(
            Health().check_readiness(sessions, redis, store),
            Health().check_readiness(sessions, nowhere, store),
        )
    assert [answer["redis"] for answer, _ in answers] == ["ok", "unavailable"]
