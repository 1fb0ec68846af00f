"""What a process owns: one pool, one client of each kind. The API and the worker open it alike."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.clients.object_store import Storage
from app.clients.queue import ArqQueue, JobQueue
from app.clients.redis import RedisClient, create_redis
from app.clients.s3 import S3Store
from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory

__all__ = ["ProcessContext", "open_process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessContext:
    """The settings and the opened clients of this process."""

    settings: Settings
    sessions: SessionFactory
    redis: RedisClient
    queue: JobQueue
    store: Storage


@asynccontextmanager
async def open_process(settings: Settings, *, name: str) -> AsyncGenerator[ProcessContext, None]:
    """Open what a process needs and close it in reverse order. Connects to nothing before the first use."""
    engine = create_engine(settings, application_name=f"taskbeacon-{name}")
    redis = create_redis(settings.redis_url)
    queue = ArqQueue(settings.redis_url)
    try:
        async with S3Store(settings) as store:
            yield ProcessContext(
                settings=settings,
                sessions=create_session_factory(engine),
                redis=redis,
                queue=queue,
                store=store,
            )
    finally:
        await queue.aclose()
        await redis.aclose()
        await engine.dispose()
