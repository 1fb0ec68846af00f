"""Clients that wait for the changes of a run whose worker makes them."""

import asyncio
from collections import Counter
from typing import Any, cast
from uuid import uuid4

from app.agents.workspace.live_patch import Comparison
from app.clients.redis import RedisClient
from app.clock import utcnow
from app.coroutines.shielded import JoinedWork
from app.enums import DiffBase
from app.schemas.runs.diff import DiffFacts
from app.services.artifacts.live_diff import ask, keep, topic_of
from tests.support.waiting import eventually


class Watched:
    """Redis, with a count of how often each task looks whether a diff is there."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self.looks = Counter[Any]()

    def __getattr__(self, name: str) -> Any:
        if name == "pttl":
            self.looks[asyncio.current_task()] += 1
        return getattr(self._redis, name)


async def test_of_clients_that_wait_for_one_diff_one_asks_again_and_again(redis: RedisClient) -> None:
    """Regression: each of them asked Redis 33 times a second."""
    topic, waits, watched = topic_of(uuid4(), DiffBase.START), JoinedWork[None](), Watched(redis)
    through = cast("RedisClient", watched)
    asking = [asyncio.create_task(ask(through, waits, topic, "patch", later=False)) for _ in range(10)]
    await eventually(lambda: max(watched.looks.values(), default=0) > 3)

    facts: DiffFacts = {
        "tree": "a",
        "at": utcnow(),
        "totals": None,
        "left_out": [],
        "missing": None,
        "behind": None,
    }
    await keep(redis, topic, facts, Comparison(patch=b"p"), took=0)
    answers = await asyncio.gather(*asking)

    assert [found and found[0]["tree"] for found in answers] == ["a"] * 10
    assert len([looks for looks in watched.looks.values() if looks > 1]) == 1
