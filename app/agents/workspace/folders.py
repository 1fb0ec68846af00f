"""Makes and removes the folders of runs; each is locked by the worker that made it.

<root>/<run>       one run's files
<root>/<run>.lock  held as long as the run lives; the kernel releases it if the worker dies
"""

import asyncio
import fcntl
import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import structlog

from app.processes.spawning import spawn
from app.shielded import shielded

log = structlog.get_logger(__name__)
_LOCK_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{8}\.lock")


@asynccontextmanager
async def open_folder(root: Path, run_id: UUID) -> AsyncIterator[Path]:
    """Create and lock a new folder for a run, and yield its path. The folder is deleted when the block ends.

    The deletion is completed even if the caller is cancelled meanwhile.
    """
    folder, lock = _claim_folder(root, run_id)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        await shielded(_discard(folder, lock))


async def reclaim(root: Path) -> int:
    """Delete the folders in `root` that runs of dead workers left behind; return how many were deleted.

    Folders of runs that a worker performs now are not touched.
    """
    removed = 0
    for path in sorted(root.glob("*.lock")):  # noqa: ASYNC240 - local files
        # Other files in that folder are not ours.
        lock = _try_lock(path) if _LOCK_NAME.fullmatch(path.name) and path.is_file() else None
        if lock is None:
            continue
        await shielded(_discard(path.with_suffix(""), lock))
        removed += 1
    return removed


def _claim_folder(root: Path, run_id: UUID) -> tuple[Path, int]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        folder = root.resolve() / f"{run_id}-{secrets.token_hex(4)}"
        lock = _try_lock(folder.with_suffix(".lock"))
        if lock is not None:
            return folder, lock


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds a lock file; None if another process holds it or has removed it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


async def _discard(folder: Path, lock: int) -> None:
    try:
        await remove(folder)
        with suppress(FileNotFoundError):
            folder.with_suffix(".lock").unlink()
    finally:
        os.close(lock)


async def remove(folder: Path) -> None:
    """Delete a folder that an agent filled, with any depth and any permissions. A failure is logged, not raised."""
    for command in (("rm", "-rf"), ("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        if not folder.is_dir():  # noqa: ASYNC240 - a local folder
            return
        process = await spawn(
            *command, "--", str(folder), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()
    if folder.is_dir():  # noqa: ASYNC240 - likewise
        log.error("workspace.not_removed", folder=str(folder))
