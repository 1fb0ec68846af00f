"""Readers of the ledger are woken at once, and not for each event of many."""

import asyncio
from typing import Any

import pytest

from app.clients.ledger_wakes import LEDGER, LedgerWakes
from app.clients.redis import RedisClient


async def test_first_word_is_sent_at_once_and_those_of_a_moment_are_one(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, publish = asyncio.get_running_loop().time, redis.publish
    sent: list[float] = []

    async def publish_and_note(channel: Any, message: Any, **options: Any) -> Any:
        assert message == LEDGER
        sent.append(clock())
        return await publish(channel, message, **options)

    monkeypatch.setattr(redis, "publish", publish_and_note)
    wakes = LedgerWakes(redis)

    await wakes.announce()
    while not sent:
        await asyncio.sleep(0)
    for _ in range(50):
        await wakes.announce()
    await wakes.aclose()

    first, second = sent
    assert second - first >= 0.01
