"""What a process remembers of lists: never older than what the caller saw, found out once, and bounded."""

import asyncio

import pytest

from app.services.tasks.list_memory import Remembered
from tests.support.waiting import next_round


class Source:
    """Counts how often it is asked; answers once it is let go."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.asked = 0
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self) -> tuple[int, str]:
        self.asked += 1
        found = self.version, f"value {self.asked}"
        await self.free.wait()
        return found


async def test_value_is_kept_while_its_version_holds() -> None:
    memory, source = Remembered[str](8), Source(version=3)
    assert [await memory.get("key", 3, source) for _ in range(3)] == ["value 1"] * 3
    assert await memory.get("key", 2, source) == "value 1", "who looked earlier may be told what is newer"
    assert await memory.get("other", 3, source) == "value 2"

    source.version = 4
    assert await memory.get("key", 4, source) == "value 3"


async def test_many_who_ask_at_once_wait_for_one() -> None:
    memory, source = Remembered[str](8), Source()
    source.free.clear()
    asking = [asyncio.create_task(memory.get("key", 1, source)) for _ in range(5)]
    await next_round()
    source.free.set()
    assert await asyncio.gather(*asking) == ["value 1"] * 5
    assert source.asked == 1


async def test_who_waited_for_an_older_snapshot_finds_out_anew() -> None:
    memory, source = Remembered[str](8), Source(version=1)
    source.free.clear()
    earlier = asyncio.create_task(memory.get("key", 1, source))
    await next_round()
    later = asyncio.create_task(memory.get("key", 2, source))
    await next_round()
    source.version = 2
    source.free.set()
    assert (await earlier, await later) == ("value 1", "value 2")


async def test_next_one_asks_when_the_first_fails_or_goes_away() -> None:
    memory, source = Remembered[str](8), Source()

    async def fail() -> tuple[int, str]:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await memory.get("key", 1, fail)
    source.free.clear()
    gone = asyncio.create_task(memory.get("key", 1, source))
    await next_round()
    waiting = asyncio.create_task(memory.get("key", 1, source))
    await next_round()
    gone.cancel()
    source.free.set()
    assert await waiting == "value 2"
    assert gone.cancelled()


async def test_what_was_not_asked_for_longest_goes_first() -> None:
    memory, source = Remembered[str](2), Source()
    for key in ("first", "second", "first", "third", "first", "third"):
        await memory.get(key, 1, source)
    assert source.asked == 3
    await memory.get("second", 1, source)
    assert source.asked == 4
