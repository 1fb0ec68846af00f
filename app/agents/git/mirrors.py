"""Bare mirrors of repositories, shared by all runs on a machine: a fetch transfers only new objects.

<root>/<key>/        while a run uses it, objects are added but never repacked or removed
<root>/<key>.use     locked shared by each run that reads the mirror, exclusively to remove or repack it
<root>/<key>.write   locked by the one run that fetches, and by its git, which may outlive a worker that dies

A run reads only the objects: refs, configuration and new objects are its own.
"""

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from app.agents.errors import (
    BranchNotFound,
    RepositoryAccessDenied,
    RepositoryError,
    RepositoryNotFound,
    RepositoryUnreachable,
)
from app.agents.files.least_used import least_used
from app.agents.git.fetch import CloneBase, Source, fetch
from app.agents.git.git_command import Git
from app.processes.file_locks import try_lock

log = structlog.get_logger(__name__)
_LOCAL = timedelta(minutes=5)
_POLL_SECONDS = 0.05
# How long to wait for the fetch of another run. The first one of a large repository takes minutes.
_WRITE_WAIT_SECONDS = 600.0
_USE_WAIT_SECONDS = 30.0
_MANY_PACKS = 40
_GONE = ".gone"
# Errors of the origin itself: a clone without the mirror would fail too.
_OF_THE_ORIGIN = (BranchNotFound, RepositoryAccessDenied, RepositoryNotFound, RepositoryUnreachable)


class MirrorUnusable(Exception):
    """The mirror of a repository is busy or damaged. The caller can clone the repository without a mirror."""


@dataclass(frozen=True, slots=True)
class BorrowedObjects:
    """The objects of a mirror that the clones of one run read; it stays locked until `give_back` or `discard`."""

    objects: Path
    shallow: bytes  # content of git's file `shallow`; empty: the history is complete
    sha: str
    lock: int
    grew: bool


class Mirrors:
    """The local mirrors of remote repositories below `root`, of about `max_bytes`, by which a fetch transfers less."""

    def __init__(self, root: Path, environment: Mapping[str, str], *, max_bytes: int) -> None:
        self._root = root
        self._environment = environment
        self._max_bytes = max_bytes

    async def lend(self, source: Source, base: CloneBase) -> BorrowedObjects:
        """Lock a mirror for reading, with the base commit, and return its objects.

        Call `look_up` before, which proves that the run may read it. Raises MirrorUnusable, RepositoryError.
        """
        assert base.start is not None
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = "\0".join((source.remote.url, str(source.depth), source.filter))
        folder = self._root.resolve() / hashlib.sha256(key.encode()).hexdigest()[:40]
        lock = await _lock(_beside(folder, ".use"), fcntl.LOCK_SH, _USE_WAIT_SECONDS)
        try:
            with ExitStack() as unlocking:
                unlocking.callback(os.close, lock)
                os.utime(lock)
                sha = await self._held(folder, base.start)
                grew = sha is None or sha != base.sha
                if sha is None or grew:
                    sha = await self._update(Git(folder, self._environment), source, base.start, lock)
                shallow = folder / "shallow"
                content = await asyncio.to_thread(lambda: shallow.read_bytes() if shallow.exists() else b"")
                unlocking.pop_all()
                return BorrowedObjects(folder / "objects", content, sha, lock, grew)
        except _OF_THE_ORIGIN:
            raise
        except (RepositoryError, OSError) as error:
            log.warning("mirror.unusable", folder=folder.name, reason=str(error))
            await asyncio.to_thread(self._remove, folder)
            raise MirrorUnusable from error

    async def give_back(self, borrowed: BorrowedObjects) -> None:
        """Unlock a mirror; if it has grown, delete the least recently used ones over the size. Errors are logged."""
        os.close(borrowed.lock)
        if not borrowed.grew:
            return
        try:
            await self._repack(borrowed.objects.parent)
            await asyncio.to_thread(self._shrink)
        except (RepositoryError, OSError) as error:
            log.warning("mirror.not_tidied", reason=str(error))

    async def discard(self, borrowed: BorrowedObjects) -> None:
        """Release the lock of a damaged mirror. If no other run uses the mirror, delete it."""
        os.close(borrowed.lock)
        await asyncio.to_thread(self._remove, borrowed.objects.parent)

    async def _held(self, folder: Path, start: str) -> str | None:
        if not (folder / "HEAD").exists():
            return None
        git = Git(folder, self._environment)
        # Not rev-parse, which would also accept expressions such as `main~1`.
        result = await git.run("show-ref", "--verify", "--hash", f"refs/heads/{start}", timeout=_LOCAL)
        return result.text if result.code == 0 else None

    async def _update(self, git: Git, source: Source, start: str, use: int) -> str:
        write = await _lock(_beside(git.folder, ".write"), fcntl.LOCK_EX, _WRITE_WAIT_SECONDS)
        try:
            await asyncio.to_thread(_clear_leftovers, git.folder)
            git.folder.mkdir(mode=0o700, exist_ok=True)
            await git.output("init", "--quiet", "--bare", "--template=", timeout=_LOCAL)
            # Git would store a small fetch as loose objects, and thousands of these are slow.
            await git.output("config", "fetch.unpackLimit", "1", timeout=_LOCAL)
            return await fetch(git, source, start, held=(write, use))
        finally:
            os.close(write)

    async def _repack(self, folder: Path) -> None:
        # Packs are joined only while no run uses the mirror: joining deletes the old ones.
        packs = await asyncio.to_thread(lambda: len(list((folder / "objects/pack").glob("*.pack"))))
        alone = try_lock(_beside(folder, ".use")) if packs >= _MANY_PACKS else None
        if alone is None:
            return
        try:
            git = Git(folder, self._environment)
            await git.run("repack", "-a", "-d", "--quiet", timeout=_LOCAL, held=(alone,))
        finally:
            os.close(alone)

    def _shrink(self) -> None:
        for path in self._root.glob(f"*{_GONE}-*"):
            shutil.rmtree(path, ignore_errors=True)
        mirrors = {path: _beside(path, ".use") for path in self._root.resolve().iterdir() if path.is_dir()}
        for path in least_used(mirrors, self._max_bytes):
            if self._remove(path):
                log.info("mirror.evicted", folder=path.name)

    def _remove(self, folder: Path) -> bool:
        alone = try_lock(_beside(folder, ".use"))
        if alone is None:
            return False
        try:
            gone = folder.with_name(f"{folder.name}{_GONE}-{secrets.token_hex(4)}")
            with suppress(FileNotFoundError):
                folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        finally:
            os.close(alone)
        return True


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


async def _lock(path: Path, kind: int, seconds: float) -> int:
    try:
        async with asyncio.timeout(seconds):
            while (descriptor := try_lock(path, kind)) is None:  # noqa: ASYNC110 - another process has it
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise MirrorUnusable from error
    return descriptor


def _clear_leftovers(folder: Path) -> None:
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/*.lock"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
