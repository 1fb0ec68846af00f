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

from app.agents.check_execution.check_context import Preparation
from app.agents.files.least_used import least_used
from app.agents.workspace.folders import remove
from app.agents.workspace.run_workspace import Workspace
from app.coroutines.shielded import shielded
from app.verdicts.definitions import Step
from app.verdicts.globs import matches

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


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches of one repository, for the clone of a commit in a workspace."""

    preparation: Preparation
    workspace: Workspace
    setup: Sequence[Step]
    commit: str

    async def find(self, step: Step) -> Path | None:
        """Return the folder of a step's cache, which may not exist yet; None if it has none. Raises RepositoryError."""
        root, sandbox = self.preparation.caches, self.preparation.sandbox
        in_clone = any(not path.startswith("~/") for path in step.cache)
        # Tools write absolute paths into what they install, so a cache of the clone is valid only at the same path.
        is_kept = bool(step.cache) and not step.background and (sandbox.has_fixed_paths or not in_clone)
        if root is None or not is_kept:
            return None
        files = await self.workspace.repository.tree(self.commit)
        parts = [
            [asdict(each) for each in self.setup],
            self.setup.index(step),
            [(file.path, file.blob) for file in files if matches(step.cache_key, file.path)],
            self.preparation.tool_chain(),
        ]
        return root / hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    async def restore(self, kept: Path, step: Step) -> bool:
        """Copy a step's cache into the clone; return whether it was complete."""
        try:
            os.utime(kept)
        except FileNotFoundError:
            return False
        pairs = [(str(kept / str(n)), path) for n, path in enumerate(self._paths(step))]
        return await self._copy(pairs, readable=(kept,))

    async def keep(self, kept: Path, step: Step) -> None:
        """Cache what a step has made, if all of it is there; errors are logged."""
        new = kept.with_name(f"{_NEW}{secrets.token_hex(8)}")
        new.mkdir(mode=0o700, parents=True)
        try:
            pairs = [(path, str(new / str(n))) for n, path in enumerate(self._paths(step))]
            if await self._copy(pairs, writable=(new,)):
                await asyncio.to_thread(new.rename, kept)
                await shielded(_shrink(kept.parents[1], self.preparation.caches_bytes))
        except OSError as error:
            # Another run has kept the same cache, or the disk is full.
            log.info("cache.not_kept", error=repr(error))
        finally:
            await shielded(remove(new))

    def _paths(self, step: Step) -> list[str]:
        inside = self.preparation.sandbox.inside(self.workspace.places)
        return [
            str(inside.home / path.removeprefix("~/") if path.startswith("~/") else inside.work / path)
            for path in step.cache
        ]

    async def _copy(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        readable: tuple[Path, ...] = (),
        writable: tuple[Path, ...] = (),
    ) -> bool:
        copied = await self.workspace.execute(
            self.preparation.sandbox,
            ("sh", "-c", _COPY, "sh", *(path for pair in pairs for path in pair)),
            {"PATH": "/usr/bin:/bin"},
            readable=readable,
            writable=writable,
        )
        return copied.code == 0


async def _shrink(root: Path, max_bytes: int) -> None:
    # Finds unfinished copies of dead workers too. A copy in progress was used last, so it stays.
    for path in await asyncio.to_thread(
        lambda: least_used({path: path for path in root.glob("*/*")}, max_bytes)
    ):
        gone = path.with_name(f"{_NEW}{secrets.token_hex(8)}")
        with suppress(FileNotFoundError):  # another worker was faster
            await asyncio.to_thread(path.rename, gone)
        await remove(gone)
