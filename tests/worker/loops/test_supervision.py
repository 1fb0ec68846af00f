"""Loops of a worker go on after a fault."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.clients.redis import RedisClient
from app.clients.wakes import WakeListener, publish_change
from app.ids import new_id
from app.services.retrying.policies import LOOP_SECONDS
from app.worker.loops.supervision import keep_running
from tests.support.waiting import eventually

# To which app/clients/wakes.py subscribes.
CHANNEL = "taskbeacon:run-changes"


@asynccontextmanager
async def kept_running(
    name: str, loop: Any, *, pause: float = 0.01
) -> AsyncGenerator[asyncio.Task[Any], None]:
    running = asyncio.create_task(keep_running(name, loop, pause=pause))
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_message_that_cannot_be_read_does_not_end_the_listener(
    redis: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: it ended the listeners of all processes; channels are shared by all databases of a server."""
    changes, run_id = WakeListener(redis, pause=LOOP_SECONDS), new_id()

    async def is_heard(heard: asyncio.Event) -> bool:
        await publish_change(redis, run_id)
        return heard.is_set()

    async with kept_running("run changes", changes.listen):
        with changes.watch(run_id) as heard:
            await eventually(lambda: is_heard(heard))
            heard.clear()
            await redis.publish(CHANNEL, b"\xff")
            await eventually(lambda: is_heard(heard))

    assert "worker.loop_failed" not in caplog.text


async def test_loop_begins_again_after_each_fault_until_it_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = 0

    async def loop() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise ValueError("a defect")
        _ = await asyncio.Event().wait()

    async with kept_running("webhooks", loop) as running:
        await eventually(lambda: begun == 3)

    assert running.cancelled()
    logged = [record for record in caplog.records if "worker.loop_failed" in record.message]
    assert [(record.levelname, "a defect" in record.message) for record in logged] == [("ERROR", True)] * 2


async def test_loop_that_returns_begins_again_after_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    begun = 0

    async def loop() -> None:
        nonlocal begun
        begun += 1

    async with kept_running("chores", loop, pause=3600):
        await eventually(lambda: "worker.loop_ended" in caplog.text)

    assert begun == 1
