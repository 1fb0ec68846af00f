"""Bare mirrors of repositories, shared by all runs on a machine, so that only what is new crosses the network.

    <root>/<key>/        a repository that only grows while it is used: nothing in it is repacked or removed
    <root>/<key>.use     locked (shared) by every run that reads the mirror, exclusively to remove or repack it
    <root>/<key>.write   locked by the one run that fetches into it, and by that run's git

The kernel lets go of the locks of a worker that dies; git keeps the one it inherits until it has ended too, so that
no process takes over from a fetch that is still running. A mirror is lent only after the origin was asked with the run's
own credential, and is read through its objects: refs, configuration and what a run makes are the run's own.
"""

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
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
from app.agents.git.command import Git
from app.agents.git.fetch import Base, Source, fetch

log = structlog.get_logger(__name__)
_LOCAL = timedelta(minutes=5)
_POLL_SECONDS = 0.05
# Behind the first clone of a large repository it is worth waiting, but not for ever.
_WRITE_WAIT_SECONDS = 600.0
_USE_WAIT_SECONDS = 30.0
_MANY_PACKS = 40
_GONE = ".gone"
# What the origin says is true of the origin: a clone without the mirror would fail alike.
_OF_THE_ORIGIN = (BranchNotFound, RepositoryAccessDenied, RepositoryNotFound, RepositoryUnreachable)


class MirrorUnusable(Exception):
    """The mirror is busy or damaged: clone without it."""


@dataclass(frozen=True, slots=True)
class Loan:
    """The mirror objects that a run borrows, until `Mirrors.give_back`."""

    objects: Path
    shallow: bytes  # where the history ends, as git notes it; empty: at its beginning
    sha: str
    lock: int
    grew: bool

    @property
    def large_files(self) -> Path:
        """Where objects of Git LFS are kept for all runs: beside those of git, where git-lfs looks for them too."""
        return self.objects.with_name("lfs")


class Mirrors:
    """The mirrors below a folder."""

    def __init__(self, root: Path, environment: Mapping[str, str], *, max_bytes: int) -> None:
        self._root = root
        self._environment = environment
        self._max_bytes = max_bytes

    async def lend(self, source: Source, base: Base) -> Loan:
        """Return a mirror that holds the base, fetched into it if need be; the look-up came before.

        Raises:
            MirrorUnusable: clone without a mirror.
            RepositoryError: the origin refuses, or does not answer.

        """
        assert base.start is not None
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._root.resolve() / _key(source)
        try:
            lock = await _lock(_beside(folder, ".use"), fcntl.LOCK_SH, _USE_WAIT_SECONDS)
        except TimeoutError as error:
            raise MirrorUnusable from error
        try:
            os.utime(lock)
            sha = await self._held(folder, base.start)
            grew = sha is None or sha != base.sha
            if sha is None or grew:
                sha = await self._update(Git(folder, self._environment), source, base.start, lock)
            shallow = folder / "shallow"
            content = await asyncio.to_thread(lambda: shallow.read_bytes() if shallow.exists() else b"")
            return Loan(folder / "objects", content, sha, lock, grew)
        except _OF_THE_ORIGIN:
            os.close(lock)
            raise
        except (RepositoryError, OSError) as error:
            os.close(lock)
            log.warning("mirror.unusable", folder=folder.name, reason=str(error))
            await asyncio.to_thread(self._remove, folder)
            raise MirrorUnusable from error
        except BaseException:
            os.close(lock)
            raise

    async def give_back(self, loan: Loan) -> None:
        """Let go of a mirror; what is over the limit goes, the longest unused first. Never raises."""
        os.close(loan.lock)
        if not loan.grew:
            return
        try:
            await self._repack(loan.objects.parent)
            await asyncio.to_thread(self._shrink)
        except (RepositoryError, OSError) as error:
            log.warning("mirror.not_tidied", reason=str(error))

    async def discard(self, loan: Loan) -> None:
        """Let go of a mirror that turned out to be damaged, and remove it unless others are using it."""
        os.close(loan.lock)
        await asyncio.to_thread(self._remove, loan.objects.parent)

    async def _held(self, folder: Path, start: str) -> str | None:
        """Return the commit of a branch that the mirror holds with all that belongs to it."""
        if not (folder / "HEAD").exists():
            return None
        git = Git(folder, self._environment)
        # Not rev-parse, for which a name can say more than which ref.
        result = await git.run("show-ref", "--verify", "--hash", f"refs/heads/{start}", timeout=_LOCAL)
        return result.text() if result.code == 0 else None

    async def _update(self, git: Git, source: Source, start: str, use: int) -> str:
        try:
            write = await _lock(_beside(git.folder, ".write"), fcntl.LOCK_EX, _WRITE_WAIT_SECONDS)
        except TimeoutError as error:
            raise MirrorUnusable from error
        try:
            await asyncio.to_thread(_clear_leftovers, git.folder)
            git.folder.mkdir(mode=0o700, exist_ok=True)
            await git.output("init", "--quiet", "--bare", "--template=", timeout=_LOCAL)
            # Small fetches too as packs: loose objects by the thousand would make everything slow.
            await git.output("config", "fetch.unpackLimit", "1", timeout=_LOCAL)
            return await fetch(git, source, start, held=(write, use))
        finally:
            os.close(write)

    async def _repack(self, folder: Path) -> None:
        """Join the packs of many fetches, while no run reads them."""
        packs = await asyncio.to_thread(lambda: len(list((folder / "objects/pack").glob("*.pack"))))
        alone = _try_alone(folder) if packs >= _MANY_PACKS else None
        if alone is None:
            return
        try:
            git = Git(folder, self._environment)
            await git.run("repack", "-a", "-d", "--quiet", timeout=_LOCAL, held=(alone,))
        finally:
            os.close(alone)

    def _shrink(self) -> None:
        """Remove the mirrors that were not used for the longest time until the rest is within the limit."""
        for path in self._root.glob(f"*{_GONE}-*"):
            shutil.rmtree(path, ignore_errors=True)
        mirrors = [
            (_beside(path, ".use").stat().st_mtime, path, _size(path))
            for path in self._root.resolve().iterdir()
            if path.is_dir() and _beside(path, ".use").exists()
        ]
        total = sum(size for _, _, size in mirrors)
        for _, path, size in sorted(mirrors):
            if total <= self._max_bytes:
                return
            if self._remove(path):
                total -= size
                log.info("mirror.evicted", folder=path.name, bytes=size)

    def _remove(self, folder: Path) -> bool:
        """Remove a mirror that is not in use; return False if it is in use."""
        alone = _try_alone(folder)
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


def _key(source: Source) -> str:
    """Return the name of the mirror: one for each place, depth and filter, since all three decide what it holds."""
    text = "\0".join((source.remote.url, str(source.depth), source.filter))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


async def _lock(path: Path, kind: int, seconds: float) -> int:
    """Return a descriptor that holds a lock. Raises TimeoutError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def _try_alone(folder: Path) -> int | None:
    """Return a descriptor that locks a mirror exclusively; None if it is in use."""
    descriptor = os.open(_beside(folder, ".use"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _clear_leftovers(folder: Path) -> None:
    """Remove what a git that was killed has left: its locks, and packs that it had not finished."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/*.lock"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total
