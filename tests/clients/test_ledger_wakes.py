"""Readers of the ledger are woken at once, and not for each event of many."""

from app.clients.redis import RedisClient, messages_of
from app.clients.wakes import LEDGER, LedgerWakes, wake

# To which app/clients/wakes.py publishes.
CHANNEL = "taskbeacon:wake"


async def test_first_wake_is_sent_at_once_and_those_that_follow_are_one(redis: RedisClient) -> None:
    async with redis.pubsub() as subscription:
        await subscription.subscribe(CHANNEL)
        messages = messages_of(subscription, silence=60)
        assert (await anext(messages))["type"] == "subscribe"
        wakes = LedgerWakes(redis)

        await wakes.announce()
        first = await anext(messages)
        for _ in range(50):
            await wakes.announce()
        await wakes.aclose()
        await wake(redis, "last")
        rest = [await anext(messages), await anext(messages)]

    assert [message["data"].decode() for message in (first, *rest)] == [LEDGER, LEDGER, "last"]
