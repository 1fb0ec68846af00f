"""Makes and removes the folders of runs; the worker holds `<root>/<run>.lock` until the folder is removed.

An agent decides how many files it has, so removing one may take minutes. No run waits for that.
"""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import UUID

import structlog

from app.coroutines.periodic import cancel_all
from app.coroutines.shielded import shielded
from app.processes.file_locks import try_lock
from app.processes.spawning import run_to_end

log = structlog.get_logger(__name__)
_LOCK_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{8}\.lock")

# Removals at a time. More would slow down the disk for the agents.
_AT_ONCE = 2


class FolderRemover:
    """Removes locked folders, two at a time; what is left five seconds after its end is for `reclaim`."""

    def __init__(self, stop_seconds: float = 5.0) -> None:
        self._stop_seconds = stop_seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._removals: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self.wait()
        except TimeoutError:
            log.warning("workspace.removals_broken_off", count=len(self._removals))
        finally:
            await cancel_all(self._removals)

    def remove(self, folder: Path, lock: int) -> None:
        """Remove a folder in the background, then its lock file; `lock`, its descriptor, is taken over."""
        removal = asyncio.create_task(self._remove(folder, lock))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    async def wait(self) -> None:
        while self._removals:
            await asyncio.wait(tuple(self._removals))

    async def _remove(self, folder: Path, lock: int) -> None:
        try:
            async with self._slots:
                await _discard(folder)
        except OSError:
            log.exception("workspace.not_removed", folder=str(folder))
        finally:
            os.close(lock)


@asynccontextmanager
async def open_folder(root: Path, run_id: UUID, remover: FolderRemover | None = None) -> AsyncIterator[Path]:
    """Yield a new, locked folder; it is deleted after the block, in the background or else before it ends."""
    folder, lock = _claim_folder(root, run_id)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        await _dispose(folder, lock, remover)


async def reclaim(root: Path, remover: FolderRemover | None = None) -> int:
    """Delete folders that runs of dead workers left in `root`, not those in use; return their number."""
    removed = 0
    for path in sorted(root.glob("*.lock")):  # noqa: ASYNC240 - local files
        # The operator may keep other files in that folder.
        lock = try_lock(path) if _LOCK_NAME.fullmatch(path.name) and path.is_file() else None
        if lock is None:
            continue
        await _dispose(path.with_suffix(""), lock, remover)
        removed += 1
    return removed


def _claim_folder(root: Path, run_id: UUID) -> tuple[Path, int]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = root.resolve() / f"{run_id}-{secrets.token_hex(4)}"
        lock = try_lock(folder.with_suffix(".lock"))
        if lock is not None:
            return folder, lock


async def _dispose(folder: Path, lock: int, remover: FolderRemover | None) -> None:
    if remover is not None:
        remover.remove(folder, lock)
        return
    try:
        await shielded(_discard(folder))
    finally:
        os.close(lock)


async def _discard(folder: Path) -> None:
    await remove(folder)
    with suppress(FileNotFoundError):
        folder.with_suffix(".lock").unlink()


async def remove(folder: Path) -> None:
    """Delete a folder that an agent filled, with any depth and any permissions; a failure is logged."""
    for command in (("rm", "-rf"), ("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        if not folder.is_dir():  # noqa: ASYNC240 - a local folder
            return
        await run_to_end(*command, "--", str(folder))
    if folder.is_dir():  # noqa: ASYNC240 - a local folder
        log.error("workspace.not_removed", folder=str(folder))
