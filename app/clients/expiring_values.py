"""Values that Redis keeps for some seconds: single ones, records of several fields, members of a set, counters."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from app.clients.redis import RedisClient
from app.clock import utcnow


async def keep_value(redis: RedisClient, key: str, value: bytes, *, seconds: int) -> None:
    await redis.set(key, value, ex=seconds)


async def find_value(redis: RedisClient, key: str) -> bytes | None:
    value: bytes | None = await redis.get(key)
    return value


async def keep_record(redis: RedisClient, key: str, fields: Mapping[str, bytes], *, seconds: float) -> None:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(key, mapping=dict(fields))
        pipeline.pexpire(key, int(1000 * seconds))
        await pipeline.execute()


async def find_fields(redis: RedisClient, key: str, *names: str) -> list[bytes] | None:
    """Return fields of a record; None if it has expired."""
    found: Any = redis.hmget(key, list(names))
    values: list[bytes] = await found
    return None if None in values else values


async def seconds_left(redis: RedisClient, key: str) -> float:
    """Return how long a value or record is still kept; a negative number if it has expired."""
    milliseconds: int = await redis.pttl(key)
    return milliseconds / 1000


async def keep_member(redis: RedisClient, members: str, name: str, value: bytes, *, seconds: int) -> None:
    """Keep the value of a member, and drop from the set those that have expired."""
    now = utcnow().timestamp()
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(f"{members}:{name}", value, ex=seconds)
        pipeline.zremrangebyscore(members, "-inf", now - seconds)
        pipeline.zadd(members, {name: now})
        await pipeline.execute()


async def remove_member(redis: RedisClient, members: str, name: str) -> None:
    await redis.delete(f"{members}:{name}")


async def find_members(redis: RedisClient, members: str, *, most: int) -> list[bytes]:
    """Return the values of the `most` newest members of a set, without those that have expired."""
    names = await redis.zrevrange(members, 0, most - 1)
    values = await redis.mget([f"{members}:{name.decode()}" for name in names]) if names else []
    return [value for value in values if value is not None]


class Addition(NamedTuple):
    """What to add to a counter, and the seconds after which it expires if this addition creates it."""

    key: str
    number: int
    seconds: int


async def add_to_counters(redis: RedisClient, additions: Iterable[Addition]) -> list[int]:
    """Add to counters in one round trip; return their new values."""
    async with redis.pipeline(transaction=False) as pipeline:
        for key, number, seconds in additions:
            pipeline.incrby(key, number)
            pipeline.expire(key, seconds, nx=True)
        counts: list[int] = (await pipeline.execute())[::2]
    return counts
