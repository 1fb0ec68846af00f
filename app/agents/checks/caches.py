"""Keeps what set-up steps make, so that the next clone of the repository need not make it again (contract 18.3).

    <root>/<key>/<n>    a copy of the n-th path of a step's `cache`

Copies are made in the sandbox: what is copied may be hostile. A cache is written after a set-up of the base alone, and
never by what an agent made; it appears whole, by a rename.
"""

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from app.agents.checks.context import Preparation
from app.agents.git.repository import TreeFile
from app.agents.places import Places
from app.agents.sandbox.sandbox import Sandbox
from app.agents.workspace.folders import remove
from app.agents.workspace.workspace import Workspace
from app.shielded import shielded
from app.verification.definitions import Step
from app.verification.globs import matches

log = structlog.get_logger(__name__)
_COPY = """\
set -e
while [ $# -gt 0 ]; do
    mkdir -p "$(dirname "$2")"
    rm -rf "$2"
    cp -a --reflink=auto "$1" "$2"
    shift 2
done
"""
_NEW = ".new-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The caches of one repository, for the clone in a workspace."""

    root: Path
    max_bytes: int
    sandbox: Sandbox
    workspace: Workspace
    setup: Sequence[Step]
    files: Sequence[TreeFile]  # of the clone's commit
    # Whether the clone is the base, before anything but set-up has touched it.
    may_keep: bool

    async def restore(self, step: Step) -> bool:
        """Copy what a step makes into the clone; return whether all of it was there."""
        if not self._is_cached(step):
            return False
        kept = self.root / self._key(step)
        try:
            os.utime(kept)
        except FileNotFoundError:
            return False
        pairs = [(str(kept / str(n)), path) for n, path in enumerate(self._paths(step))]
        return await self._copy(pairs, readable=(kept,))

    async def keep(self, step: Step) -> None:
        """Keep what a step has made, if all of it is there; errors are logged."""
        if not self.may_keep or not self._is_cached(step):
            return
        kept = self.root / self._key(step)
        new = self.root / f"{_NEW}{secrets.token_hex(8)}"
        new.mkdir(mode=0o700, parents=True)
        try:
            pairs = [(path, str(new / str(n))) for n, path in enumerate(self._paths(step))]
            if await self._copy(pairs, writable=(new,)):
                await asyncio.to_thread(new.rename, kept)
                await shielded(self._shrink())
        except OSError as error:
            # Another run was faster, or the disk is full.
            log.info("cache.not_kept", error=repr(error))
        finally:
            await shielded(remove(new))

    def _is_cached(self, step: Step) -> bool:
        in_clone = any(not path.startswith("~/") for path in step.cache)
        # Tools write absolute paths into what they install.
        return bool(step.cache) and (self.sandbox.has_fixed_paths or not in_clone)

    def _paths(self, step: Step) -> list[str]:
        inside: Places = self.sandbox.inside(self.workspace.places)
        return [
            str(inside.home / path.removeprefix("~/") if path.startswith("~/") else inside.work / path)
            for path in step.cache
        ]

    def _key(self, step: Step) -> str:
        parts = [
            [asdict(each) for each in self.setup],
            self.setup.index(step),
            [(file.path, file.blob) for file in self.files if matches(step.cache_key, file.path)],
            self.sandbox.kind,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    async def _copy(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        readable: tuple[Path, ...] = (),
        writable: tuple[Path, ...] = (),
    ) -> bool:
        process = await self.workspace.monitor.add(
            await self.sandbox.start(
                ("sh", "-c", _COPY, "sh", *(path for pair in pairs for path in pair)),
                self.workspace.confinement(readable=readable, writable=writable),
                {"PATH": "/usr/bin:/bin"},
            )
        )
        try:
            await process.communicate()
        finally:
            await shielded(process.stop(0))
        return process.returncode == 0

    async def _shrink(self) -> None:
        """Delete the caches of any repository that were used the longest ago, until the others fit."""
        used = 0
        for path, size in await asyncio.to_thread(_by_use, self.root.parent):
            used += size
            if used > self.max_bytes:
                gone = path.with_name(f"{_NEW}{secrets.token_hex(8)}")
                with suppress(FileNotFoundError):  # another worker was faster
                    await asyncio.to_thread(path.rename, gone)
                await remove(gone)


async def open_caches(
    workspace: Workspace,
    preparation: Preparation,
    setup: Sequence[Step],
    commit: str,
    *,
    may_keep: bool,
) -> Caches | None:
    """Return the caches for a clone of a commit; None if none are kept. Raises RepositoryError."""
    if preparation.caches is None or not any(step.cache for step in setup):
        return None
    files = await workspace.repository.tree(commit)
    return Caches(
        root=preparation.caches,
        max_bytes=preparation.caches_bytes,
        sandbox=preparation.sandbox,
        workspace=workspace,
        setup=setup,
        files=files,
        may_keep=may_keep,
    )


def _by_use(folder: Path) -> list[tuple[Path, int]]:
    """Return the caches of all repositories with their sizes, the last used first."""
    found = []
    for path in folder.glob("*/*"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime, path, _size(path)))
    # With what dead workers left half made; what is being made was touched last.
    return [(path, size) for _, path, size in sorted(found, reverse=True)]


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total
