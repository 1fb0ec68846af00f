"""The live changes of a run: a client asks, the run's worker makes the diff, Redis keeps it for a minute.

Nothing is asked of a worker while no client asks. A request that gets lost is made again by the client (contract 19.1).
"""

import asyncio
import zlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from uuid import UUID

import orjson

from app.agents.workspace.live_patch import Comparison
from app.clients.expiring_values import find_fields, keep_record, seconds_left
from app.clients.redis import RedisClient
from app.clients.wakes import wake
from app.coroutines.shielded import JoinedWork
from app.enums import DiffBase
from app.schemas.runs.diff import DiffFacts

_FRESH_SECONDS = 3.0
_PAUSES = 20
# How long a diff is kept after it was fresh, for requests for its other parts.
_KEPT_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
# Between two looks whether the worker has answered.
_PAUSE_SECONDS = 0.03
_LEVEL = 1
# The most bytes that a worker keeps of a diff, with room for the escapes of JSON.
_MOST_BYTES = 64 * 2**20


def fresh_seconds(took: float) -> float:
    """Return how long a diff is fresh. A diff that takes long is made seldom, since it slows the agent down."""
    return max(_FRESH_SECONDS, _PAUSES * took)


def topic_of(run_id: UUID, base: DiffBase) -> str:
    """Return the topic that wakes the worker of a run when a client asks for a diff; also the key of the kept diff."""
    return f"taskbeacon:diff:{run_id}:{base.value}"


async def keep(redis: RedisClient, topic: str, facts: DiffFacts, found: Comparison, *, took: float) -> None:
    """Keep a diff that took `took` seconds to make: fresh for `fresh_seconds`, and for a minute more."""
    parts = {
        "facts": orjson.dumps(facts),
        "sizes": orjson.dumps(dict(found.sizes)),
        "patch": await asyncio.to_thread(zlib.compress, found.patch, _LEVEL),
        "texts": await asyncio.to_thread(pack_texts, found.texts),
    }
    await keep_record(redis, topic, parts, seconds=fresh_seconds(took) + _KEPT_SECONDS)


async def is_fresh(redis: RedisClient, topic: str) -> bool:
    return await seconds_left(redis, topic) > _KEPT_SECONDS


async def _wait(redis: RedisClient, topic: str) -> None:
    await wake(redis, topic)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            while not await is_fresh(redis, topic):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(_PAUSE_SECONDS)


async def ask(
    redis: RedisClient, waits: JoinedWork[None], topic: str, *parts: str, later: bool
) -> tuple[DiffFacts, list[bytes]] | None:
    """Return facts and parts of a fresh diff; of the kept one if `later` is set or no worker answers."""
    if await seconds_left(redis, topic) <= (0 if later else _KEPT_SECONDS):
        await waits.join(partial(_wait, redis, topic), key=topic)
    kept = await find_fields(redis, topic, "facts", *parts)
    if kept is None:
        return None
    facts, *found = kept
    read: DiffFacts = orjson.loads(facts)
    return {"behind": None, **read, "at": datetime.fromisoformat(str(read["at"]))}, found


def unpack(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _MOST_BYTES)


def pack_texts(texts: Mapping[str, str]) -> bytes:
    return zlib.compress(orjson.dumps(dict(texts)), _LEVEL)


def unpack_texts(packed: bytes) -> dict[str, str]:
    texts: dict[str, str] = orjson.loads(unpack(packed))
    return texts
