"""Upload of a run's log while a worker writes it; the storage itself is tested elsewhere."""

import asyncio
import os
import tempfile
import threading
from typing import Any

import orjson
import pytest

from app.worker.run.log_recorder import RunLog
from app.worker.run.store_retry import StoreRetryBudget
from tests.support.waiting import eventually


def entry(number: int) -> dict[str, Any]:
    return {"type": "notification", "timestamp": "2026-01-01T00:00:00Z", "number": number}


async def test_entries_that_come_while_a_batch_is_sent_are_sent_too() -> None:
    stored = bytearray()
    published: list[bytes] = []

    async def send(lines: bytes) -> None:
        assert lines, "nothing to send, and the loop would never let go"
        if not stored:
            await log.append(entry(2))
        stored.extend(lines)

    with tempfile.TemporaryFile() as file:
        log = RunLog(published.append, send, file)
        await log.append(entry(1))
        sending = asyncio.create_task(log.keep_sending())

        await log.close(sending, StoreRetryBudget(0, cut_short=asyncio.Event()))

    assert log.is_whole

    assert stored.count(b"\n") == 2
    assert [orjson.loads(line) for line in published] == [entry(1), entry(2)]


async def test_what_is_sent_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has up to 8 MiB, and the disk may be slow."""
    readers: list[threading.Thread] = []
    pread = os.pread

    def read(*arguments: int) -> bytes:
        readers.append(threading.current_thread())
        return pread(*arguments)

    async def send(_lines: bytes) -> None:
        pass

    with tempfile.TemporaryFile() as file, monkeypatch.context() as patch:
        patch.setattr(os, "pread", read)
        log = RunLog(lambda _: None, send, file)
        await log.append(entry(1))
        sending = asyncio.create_task(log.keep_sending())
        await log.close(sending, StoreRetryBudget(0, cut_short=asyncio.Event()))

    assert log.is_whole
    assert readers
    assert threading.current_thread() not in readers


async def test_entries_are_sent_after_an_unexpected_error_of_an_earlier_batch() -> None:
    """Regression: the error ended the sending, and then lost the run when its log was closed."""
    stored = bytearray()
    faults = [ValueError("planted")]

    async def send(lines: bytes) -> None:
        if faults:
            raise faults.pop()
        stored.extend(lines)

    with tempfile.TemporaryFile() as file:
        log = RunLog(lambda _: None, send, file)
        sending = asyncio.create_task(log.keep_sending())
        await log.append(entry(1))
        await eventually(lambda: not faults)
        await log.append(entry(2))
        await eventually(lambda: stored.count(b"\n") == 2)

        await log.close(sending, StoreRetryBudget(0, cut_short=asyncio.Event()))

    assert log.is_whole


async def test_log_that_cannot_be_sent_for_an_unexpected_reason_is_not_whole() -> None:
    async def send(_lines: bytes) -> None:
        raise ValueError("planted")

    with tempfile.TemporaryFile() as file:
        log = RunLog(lambda _: None, send, file)
        sending = asyncio.create_task(log.keep_sending())
        await log.append(entry(1))

        await log.close(sending, StoreRetryBudget(0, cut_short=asyncio.Event()))

    assert not log.is_whole


async def test_line_longer_than_a_batch_is_sent_alone() -> None:
    """Regression: the batch was then all that was unsent, after an outage up to 200 MB in memory."""
    batches: list[bytes] = []

    async def send(lines: bytes) -> None:
        batches.append(lines)

    texts = ["first", "x" * 20 * 2**20, *["y" * 2**20] * 20]
    with tempfile.TemporaryFile() as file:
        log = RunLog(lambda _: None, send, file)
        sending = asyncio.create_task(log.keep_sending())
        for text in texts:
            await log.append({"text": text})

        await log.close(sending, StoreRetryBudget(0, cut_short=asyncio.Event()))

    lines = [orjson.dumps({"text": text}) + b"\n" for text in texts]
    assert b"".join(batches) == b"".join(lines)
    assert batches[:2] == lines[:2]
    assert max(len(batch) for batch in batches[2:]) <= 8 * 2**20
    assert len(batches) == 2 + 3
