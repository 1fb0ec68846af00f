"""Moves content by blocks: whoever is cancelled waits for one of them at most, and no thread goes on behind them."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from app.agents.lfs.objects import BLOCK, ObjectFolder, Pointer
from app.shielded import shielded

__all__ = ["blocks_of", "take_in"]


async def blocks_of(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield what a file holds, from where it stands. Raises OSError."""
    while block := await asyncio.to_thread(file.read, BLOCK):
        yield block


async def take_in(blocks: AsyncIterator[bytes], pointer: Pointer, folder: ObjectFolder) -> bool:
    """Put content into a folder if it is the object, and no byte more; False if it is something else.

    Raises OSError, and what `blocks` raises.
    """
    with folder.draft(pointer.oid) as draft:
        async for block in blocks:
            await asyncio.to_thread(draft.write, block)
            if draft.size > pointer.size:
                return False
        if draft.pointer != pointer:
            return False
        # It makes folders, which must not come back behind whoever removes them when the run has ended.
        await shielded(asyncio.to_thread(draft.keep))
    return True
