"""The changes of a run whose agent is still there: clients ask, the run's worker makes them, Redis keeps them a minute.

Nothing is asked of a worker while no client asks. A request that gets lost is made again by the client (contract 19.1).
"""

import asyncio
import zlib
from datetime import datetime
from typing import NamedTuple
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
_FACTS, _PATCH, _TEXTS = "facts", "patch", "texts"
_LEVEL = 1
# Of what a worker keeps, with room for the escapes of JSON.
_MOST_BYTES = 64 * 2**20


class LiveFacts(TypedDict):
    """What is known of a live diff beside its patch."""

    tree: str | None
    at: str
    totals: ChangeTotals | None
    # Path, status and bytes of changed files that are not in the patch.
    large: list[tuple[str, str, int]]
    sizes: dict[str, int]
    left_out: list[str]
    missing: DiffMissing | None


class LiveDiff(NamedTuple):
    """A diff as its worker makes it: the facts, and packed the patch and the texts that its files had before."""

    facts: LiveFacts
    patch: bytes
    texts: bytes


def nothing(missing: DiffMissing, at: datetime) -> LiveDiff:
    facts: LiveFacts = {
        "tree": None,
        "at": at.isoformat(),
        "totals": None,
        "large": [],
        "sizes": {},
        "left_out": [],
        "missing": missing,
    }
    return LiveDiff(facts, pack(b""), pack_texts({}))


def topic_of(run_id: UUID) -> str:
    """Return the topic that wakes the worker of a run because a client asks for its diff."""
    return f"diff:{run_id}"


async def keep(redis: RedisClient, run_id: UUID, diff: LiveDiff) -> None:
    key = _key(run_id)
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.delete(key)
        pipeline.hset(key, mapping={_FACTS: orjson.dumps(diff.facts), _PATCH: diff.patch, _TEXTS: diff.texts})
        pipeline.expire(key, _KEPT_SECONDS)
        await pipeline.execute()


async def is_kept(redis: RedisClient, run_id: UUID) -> bool:
    return bool(await redis.exists(_key(run_id)))


async def confirm(redis: RedisClient, run_id: UUID) -> None:
    """Say that the diff that is kept is that of now."""
    await redis.expire(_key(run_id), _KEPT_SECONDS)


async def ask(redis: RedisClient, run_id: UUID, *, later: bool = False) -> LiveFacts | None:
    """Return the facts of a diff of now, or of the one that is kept if the worker does not answer; None if none is.

    `later` is the request for another part of a diff: it takes the one that is kept.
    """
    key, loop = _key(run_id), asyncio.get_running_loop()
    ends_at, is_asked = loop.time() + _ANSWER_SECONDS, False
    while True:
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.hget(key, _FACTS)
            pipeline.pttl(key)
            facts, left = await pipeline.execute()
        is_fresh = facts is not None and (later or left > 1000 * (_KEPT_SECONDS - FRESH_SECONDS))
        if is_fresh or loop.time() >= ends_at:
            kept: LiveFacts | None = None if facts is None else orjson.loads(facts)
            return kept
        if not is_asked:
            await wake(redis, topic_of(run_id))
            is_asked = True
        await asyncio.sleep(_PAUSE_SECONDS)


async def read_patch(redis: RedisClient, run_id: UUID, facts: LiveFacts) -> bytes:
    """Return the patch that is kept, with its facts in place of `facts` if it is another."""
    kept, patch = await _read(redis, _key(run_id), _FACTS, _PATCH)
    if kept is None or patch is None:
        return b""
    facts.update(orjson.loads(kept))
    return unpack(patch)


async def read_texts(redis: RedisClient, run_id: UUID) -> dict[str, str]:
    (packed,) = await _read(redis, _key(run_id), _TEXTS)
    return unpack_texts(packed) if packed else {}


async def _read(redis: RedisClient, key: str, *fields: str) -> list[bytes | None]:
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.hmget(key, list(fields))
        (values,) = await pipeline.execute()
    return list(values)


def pack(content: bytes) -> bytes:
    return zlib.compress(content, _LEVEL)


def unpack(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _MOST_BYTES)


def pack_texts(texts: dict[str, str]) -> bytes:
    return pack(orjson.dumps(texts))


def unpack_texts(packed: bytes) -> dict[str, str]:
    texts: dict[str, str] = orjson.loads(unpack(packed))
    return texts


def _key(run_id: UUID) -> str:
    return f"taskbeacon:diff:{run_id}"
