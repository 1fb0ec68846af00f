"""Clients of Redis. They connect at their first use, so that a process can start while Redis is away."""

from collections.abc import AsyncGenerator
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

RedisClient = Redis

_CONNECT_TIMEOUT_SECONDS = 1.0
_SOCKET_TIMEOUT_SECONDS = 2.0
_MAX_CONNECTIONS = 32
_WAIT_FOR_CONNECTION_SECONDS = 2.0


def create_pool(url: str) -> BlockingConnectionPool:
    """Return a pool of at most 32 Redis connections, for one of which a caller waits up to two seconds."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=_MAX_CONNECTIONS,
        timeout=_WAIT_FOR_CONNECTION_SECONDS,
        socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        socket_timeout=_SOCKET_TIMEOUT_SECONDS,
        # One retry repairs a connection that the server closed; more would delay requests.
        retry=Retry(NoBackoff(), retries=1),
        client_name="taskbeacon",
    )


def create_redis(url: str) -> RedisClient:
    """Return a Redis client with its own pool of connections; the caller closes it with `aclose()`."""
    return Redis.from_pool(create_pool(url))


async def messages_of(subscription: PubSub, *, silence: float) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the messages of a subscription until the connection fails; ping after `silence` seconds without one."""
    is_pinged = False
    while True:
        message = await subscription.get_message(timeout=silence)
        if message is not None:
            is_pinged = False
            yield message
        elif is_pinged:
            raise RedisConnectionError("Redis has fallen silent")
        else:
            await subscription.ping()
            is_pinged = True
