"""The changes of a run whose agent is still there: clients ask, the run's worker makes them, Redis keeps them a minute.

Nothing is asked of a worker while no client asks. A request that gets lost is made again by the client (contract 19.1).
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import orjson
from typing_extensions import TypedDict

from app.clients.redis import RedisClient
from app.clients.wakes import wake
from app.enums import DiffMissing
from app.schemas.runs.diff import ChangeTotals

# As old as a diff may be for the next client that asks.
FRESH_SECONDS = 3.0
_KEPT_SECONDS = 60
_ANSWER_SECONDS = 5.0
# Between two looks whether the worker has answered.
_PAUSE_SECONDS = 0.03
_LEVEL = 1
# Of what a worker keeps, with room for the escapes of JSON.
_MOST_BYTES = 64 * 2**20


class LiveFacts(TypedDict):
    """What is known of a live diff beside its patch."""

    tree: str | None
    at: str
    totals: ChangeTotals | None
    # Bytes of the changed files that are there.
    sizes: dict[str, int]
    left_out: list[str]
    missing: DiffMissing | None


def topic_of(run_id: UUID) -> str:
    """Return the topic that wakes the worker of a run because a client asks for its diff."""
    return f"diff:{run_id}"


async def keep(
    redis: RedisClient, run_id: UUID, facts: LiveFacts, patch: bytes, texts: Mapping[str, str]
) -> None:
    key = _key(run_id)
    packed = await asyncio.to_thread(zlib.compress, patch, _LEVEL)
    packed_texts = await asyncio.to_thread(pack_texts, texts)
    parts = {"facts": orjson.dumps(facts), "patch": packed, "texts": packed_texts}
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(key, mapping=parts)
        pipeline.expire(key, _KEPT_SECONDS)
        await pipeline.execute()


async def confirm(redis: RedisClient, run_id: UUID) -> bool:
    """Say that the diff that is kept is that of now; return whether one is."""
    return bool(await redis.expire(_key(run_id), _KEPT_SECONDS))


async def ask(
    redis: RedisClient, run_id: UUID, part: Literal["patch", "texts"], *, later: bool = False
) -> tuple[LiveFacts, bytes] | None:
    """Return the facts and a packed part of a diff of now, or of the one that is kept if the worker does not answer.

    `later` is the request for another part of a diff: it takes the one that is kept.
    """
    key, loop = _key(run_id), asyncio.get_running_loop()
    ends_at = loop.time() + _ANSWER_SECONDS
    least = 0 if later else 1000 * (_KEPT_SECONDS - FRESH_SECONDS)
    if await redis.pttl(key) <= least:
        await wake(redis, topic_of(run_id))
        while await redis.pttl(key) <= least and loop.time() < ends_at:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_PAUSE_SECONDS)
    found: Any = redis.hmget(key, ["facts", part])
    facts, packed = await found
    return None if facts is None else (orjson.loads(facts), packed)


def unpack(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _MOST_BYTES)


def pack_texts(texts: Mapping[str, str]) -> bytes:
    return zlib.compress(orjson.dumps(dict(texts)), _LEVEL)


def unpack_texts(packed: bytes) -> dict[str, str]:
    texts: dict[str, str] = orjson.loads(unpack(packed))
    return texts


def _key(run_id: UUID) -> str:
    return f"taskbeacon:diff:{run_id}"
