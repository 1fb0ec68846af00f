"""Readers of the ledger are woken at once, and not for each event of many."""

from typing import Any, cast

from structlog.contextvars import bound_contextvars, get_contextvars

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


class Publishing:
    """Notes with what context for the log it is asked to publish."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []

    async def publish(self, *_: str) -> None:
        self.contexts.append(get_contextvars())


async def test_wakes_are_not_logged_as_of_the_request_that_was_the_first() -> None:
    publishing = Publishing()
    wakes = LedgerWakes(cast("RedisClient", publishing))
    with bound_contextvars(request_id="first"):
        await wakes.announce()
        await wakes.aclose()
    assert publishing.contexts == [{}]
