"""Redis behind a stand-in that can be away, a run with events to send, and connections to other services."""

from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import pytest

from app.clients.redis import RedisClient, create_redis
from app.config import Settings
from app.ids import new_id
from tests.support.stand_ins.outage import Interruptible, behind, interruptible
from tests.support.web.clients import socket_client


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient, None]:
    async with socket_client() as client:
        yield client


@pytest.fixture
def run_id() -> UUID:
    return new_id()


@pytest.fixture
async def server(settings: Settings) -> AsyncGenerator[Interruptible, None]:
    """Redis behind a stand-in that can be away."""
    async with interruptible(settings.redis_url) as server:
        yield server


@pytest.fixture
async def distant(settings: Settings, server: Interruptible) -> AsyncGenerator[RedisClient, None]:
    """A client that reaches Redis through the stand-in."""
    redis = create_redis(behind(server, settings.redis_url))
    yield redis
    await redis.aclose()
