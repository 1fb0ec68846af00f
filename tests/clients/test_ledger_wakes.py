"""Readers of the ledger are woken at once, and not for each event of many."""

import asyncio
from typing import Any

import pytest

from app.clients.redis import RedisClient
from app.clients.wakes import LEDGER, LedgerWakes
from tests.support.waiting import eventually


async def test_first_wake_is_sent_at_once_and_those_that_follow_are_one(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, publish = asyncio.get_running_loop().time, redis.publish
    sent: list[float] = []

    async def publish_and_note(channel: Any, message: Any, **options: Any) -> Any:
        assert message == LEDGER
        sent.append(clock())
        return await publish(channel, message, **options)

    async def is_sent() -> bool:
        return bool(sent)

    monkeypatch.setattr(redis, "publish", publish_and_note)
    wakes = LedgerWakes(redis)

    await wakes.announce()
    await eventually(is_sent)
    for _ in range(50):
        await wakes.announce()
    await wakes.aclose()

    first, second = sent
    assert second - first >= 0.01
