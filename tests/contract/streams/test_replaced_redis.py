"""A Redis that lacks events which it has answered: a replica that was promoted, or one from an older file (ADR 79)."""

from typing import Any
from uuid import UUID

import httpx
import orjson

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_event_stream import stream_keys
from app.clients.redis import RedisClient
from tests.support.web.streams import following

JSON = dict[str, Any]


async def say(events: RunEvents, run: JSON, *numbers: int) -> None:
    for number in numbers:
        events.put(UUID(run["id"]), orjson.dumps({"n": number}))
    await events.settle()


async def test_events_that_a_promoted_redis_lacks_are_a_gap(
    api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON, redis: RedisClient
) -> None:
    keys = stream_keys(UUID(run["id"]))
    await say(events, run, 0, 0, 0)
    await redis.xtrim(keys[0], maxlen=1, approximate=False)
    copied = {key: await redis.dump(key) for key in keys}
    async with following(api, url) as stream:
        await stream.take(2)
        await say(events, run, 1, 2)
        await stream.take(2)
        for key, value in copied.items():
            await redis.restore(key, 0, value, replace=True)
        await say(events, run, 3)
        gap, seen = await stream.take(2)
        await say(events, run, 4)
        [last] = await stream.take(1)
    assert (gap.name, gap.data["lost"], [seen.data["n"], last.data["n"]]) == ("gap", None, [3, 4])
    async with following(api, url, after=str(seen.id)) as again:
        assert await again.take(1) == [last]


async def test_run_that_is_over_and_without_the_last_of_its_stream_has_a_gap_before_the_end(
    api: httpx.AsyncClient, url: str, events: RunEvents, run: JSON, redis: RedisClient
) -> None:
    key = stream_keys(UUID(run["id"]))[0]
    copied = await redis.dump(key)
    await say(events, run, 1)
    assert (await api.patch(url, json={"status": "completed"})).is_success
    async with following(api, url, start="latest") as stream:
        assert [seen.data["status"] for seen in await stream.rest()] == ["completed"]
    await redis.restore(key, 0, copied, replace=True)
    async with following(api, url) as stream:
        first, gap, ended = await stream.rest()
    assert (gap.name, gap.data["lost"], first.data["status"], ended.data["status"]) == (
        "gap",
        None,
        "queued",
        "completed",
    )
