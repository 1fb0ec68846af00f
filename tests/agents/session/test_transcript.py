"""The text of an agent's messages in the log of a run (contract 13.4)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.agents.session.transcript import Transcript
from tests.agents.conftest import eventually

JSON = dict[str, Any]


class Log:
    """A transcript, and the updates that it has logged."""

    def __init__(self) -> None:
        self.updates: list[JSON] = []
        self.is_waiting = False
        # Whether the log takes entries.
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.transcript = Transcript(self._emit, silence=0.05)

    async def _emit(self, entry: JSON) -> None:
        self.is_waiting = not self.is_free.is_set()
        await self.is_free.wait()
        self.updates.append(entry["notification"]["params"]["update"])

    async def hear(self, text: str, message_id: str | None = None) -> None:
        named = {} if message_id is None else {"messageId": message_id}
        content = {"type": "text", "text": text}
        update = {"sessionUpdate": "agent_message_chunk", "content": content, **named}
        await self.transcript.add({"params": {"sessionId": "s", "update": update}})

    @property
    def stored(self) -> list[tuple[str, str]]:
        """The id and the text of each message that goes to the stored log."""
        return [
            (update["messageId"], update["content"]["text"])
            for update in self.updates
            if update["sessionUpdate"] == "agent_message"
        ]


@pytest.fixture
async def log() -> AsyncIterator[Log]:
    log = Log()
    storing = asyncio.create_task(log.transcript.store_unfinished())
    yield log
    log.transcript.stop()
    await storing


async def test_message_is_stored_once_when_the_agent_falls_silent_in_it(log: Log) -> None:
    await log.hear("I look ", "m")
    await log.hear("at it", "m")
    assert log.stored == []
    await eventually(lambda: log.stored == [("m", "I look at it")])
    assert log.transcript.last_message == "I look at it"
    await log.hear(". Done", "m")
    await log.hear(".", "m")
    await log.transcript.flush()
    await log.transcript.flush()
    assert log.stored == [("m", "I look at it"), ("m", ". Done.")]
    assert log.transcript.last_message == "I look at it. Done."
    chunks = [update["content"]["text"] for update in log.updates if "chunk" in update["sessionUpdate"]]
    assert "".join(chunks) == "".join(text for _, text in log.stored)


async def test_message_that_was_stored_whole_is_not_stored_again_at_its_end(log: Log) -> None:
    await log.hear("All.", "m")
    await eventually(lambda: bool(log.stored))
    await log.hear("Next.", "n")
    await log.transcript.flush()
    assert log.stored == [("m", "All."), ("n", "Next.")]
    assert log.transcript.last_message == "Next."


async def test_message_without_an_id_gets_one_for_all_its_parts(log: Log) -> None:
    await log.hear("a")
    await eventually(lambda: bool(log.stored))
    await log.hear("b")
    await log.transcript.flush()
    await log.hear("c")
    await log.transcript.flush()
    ids = [id_ for id_, _ in log.stored]
    assert [text for _, text in log.stored] == ["a", "b", "c"]
    assert (ids[0] == ids[1], ids[1] == ids[2]) == (True, False)
    assert [update["messageId"] for update in log.updates] == [*ids[:1] * 4, *ids[2:] * 2]


async def test_entry_that_waits_for_the_log_is_neither_lost_nor_overtaken(log: Log) -> None:
    await log.hear("a", "m")
    log.is_free.clear()
    await eventually(lambda: log.is_waiting)
    others = [asyncio.create_task(log.hear("b", "m")), asyncio.create_task(log.transcript.flush())]
    log.transcript.stop()
    log.is_free.set()
    await asyncio.gather(*others)
    assert log.stored == [("m", "a"), ("m", "b")]
    assert [update["content"]["text"] for update in log.updates] == ["a", "a", "b", "b"]
