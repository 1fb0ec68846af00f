"""Content that moves by blocks: what is left of it when whoever moves it is cancelled."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.agents.lfs.blocks import take_in
from app.agents.lfs.objects import ObjectFolder
from tests.support.lfs import pointer_of
from tests.support.waiting import eventually, next_round

CONTENT = b"content"


async def blocks(*pieces: bytes, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if then is not None:
        await then.wait()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("pieces", "is_taken"),
    [
        ([b"con", b"tent"], True),
        ([b"con"], False),
        ([], False),
        ([CONTENT, b"s"], False),
        ([b"CONTENT"], False),
    ],
)
async def test_object_is_taken_whole_or_not_at_all(
    tmp_path: Path, pieces: list[bytes], *, is_taken: bool
) -> None:
    folder, pointer = ObjectFolder(tmp_path), pointer_of(CONTENT)

    assert await take_in(blocks(*pieces), pointer, folder) is is_taken

    assert (folder.find(pointer) is not None) is is_taken
    assert len(files_below(tmp_path)) == is_taken


async def test_what_came_until_a_cancellation_is_removed(tmp_path: Path) -> None:
    taking = asyncio.create_task(
        take_in(blocks(CONTENT, then=asyncio.Event()), pointer_of(CONTENT), ObjectFolder(tmp_path))
    )

    async def has_begun() -> bool:
        return bool(files_below(tmp_path))

    await eventually(has_begun)
    taking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await taking
    assert files_below(tmp_path) == []


async def test_cancellation_waits_for_an_object_that_is_being_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folders came back otherwise, behind whoever had removed them."""
    is_kept, goes_on = threading.Event(), threading.Event()

    def fsync(_descriptor: int) -> None:
        is_kept.set()
        goes_on.wait(10)

    async def has_begun() -> bool:
        return is_kept.is_set()

    monkeypatch.setattr(os, "fsync", fsync)
    folder, pointer = ObjectFolder(tmp_path, outlives_runs=True), pointer_of(CONTENT)
    taking = asyncio.create_task(take_in(blocks(CONTENT), pointer, folder))
    await eventually(has_begun)
    taking.cancel()
    await next_round()
    assert not taking.done()
    goes_on.set()

    with pytest.raises(asyncio.CancelledError):
        await taking
    assert folder.find(pointer) is not None
