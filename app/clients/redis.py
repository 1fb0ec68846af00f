"""Create Redis clients. Each connects at its first use, so a process starts even if Redis is down."""

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.retry import Retry
from typing_extensions import override

RedisClient = Redis

_CONNECT_TIMEOUT_SECONDS = 1.0
_SOCKET_TIMEOUT_SECONDS = 2.0
_MAX_CONNECTIONS = 32
_WAIT_FOR_CONNECTION_SECONDS = 2.0
_SENTINEL_PORT = 26379
_TIMEOUTS = {"socket_connect_timeout": _CONNECT_TIMEOUT_SECONDS, "socket_timeout": _SOCKET_TIMEOUT_SECONDS}


class PrimaryConnection(Connection):
    """A connection to the server that Sentinel calls the primary, which is asked at each connect."""

    def __init__(self, *, sentinel: Sentinel, service: str, **options: Any) -> None:
        super().__init__(**options)
        self._sentinel = sentinel
        self._service = service

    @override
    async def _connect(self) -> None:
        try:
            self.host, self.port = await self._sentinel.discover_master(self._service)
        finally:
            # The library closes no connections to sentinels.
            for each in self._sentinel.sentinels:
                await each.connection_pool.disconnect(inuse_connections=False)
        await super()._connect()  # type: ignore[no-untyped-call] # redis-py's own is not annotated

    @override
    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError as error:
            # It was the primary until now. The command is repeated once, on a new connection.
            await self.disconnect()
            raise RedisConnectionError("this server is no primary any more") from error


class PrimarySSLConnection(PrimaryConnection, SSLConnection):
    """A connection to the primary over TLS."""


def create_pool(url: str) -> BlockingConnectionPool:
    """Return a pool of at most 32 Redis connections, for one of which a caller waits up to two seconds."""
    options: dict[str, Any] = {
        "max_connections": _MAX_CONNECTIONS,
        "timeout": _WAIT_FOR_CONNECTION_SECONDS,
        # One retry repairs a connection that the server closed; more would delay requests.
        "retry": Retry(NoBackoff(), retries=1),
        "client_name": "taskbeacon",
        **_TIMEOUTS,
    }
    options |= _by_sentinel(url) if "+sentinel:" in url else parse_url(url)
    return BlockingConnectionPool(**options)


def _by_sentinel(url: str) -> dict[str, Any]:
    # The URL is `redis+sentinel://user:password@host:port,host/service/0`.
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path[1:].partition("/")
    scheme = parts.scheme.removesuffix("+sentinel")
    options: dict[str, Any] = dict(parse_url(f"{scheme}://{account}{at}/{database}?{parts.query}"))
    of_sentinels = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    is_encrypted = options.pop("connection_class", None) is SSLConnection
    places = [urlsplit(f"redis://{host}") for host in hosts.split(",")]
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py's own is not annotated
        [(place.hostname, place.port or _SENTINEL_PORT) for place in places],
        sentinel_kwargs={**_TIMEOUTS, **of_sentinels, "ssl": is_encrypted},
    )
    kind = PrimarySSLConnection if is_encrypted else PrimaryConnection
    return options | {"connection_class": kind, "sentinel": sentinel, "service": service}


def create_redis(url: str) -> RedisClient:
    """Return a Redis client with its own pool of connections; the caller closes it with `aclose()`."""
    return Redis.from_pool(create_pool(url))


async def ping(redis: RedisClient) -> None:
    await redis.ping()


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
