"""Compares the files of a clone, while its agent works, with the commit that the work started from."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # JSON

import orjson

from app.agents.errors import WorkspaceBroken
from app.agents.files.attachments import OWN_FOLDER
from app.agents.git.repository import PATCH_LIMIT, cut_patch
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.sandbox import Sandbox, confined_environment
from app.agents.workspace.gathering import GIT_ENVIRONMENT
from app.processes.output import last_lines, read_bounded
from app.processes.own_program import module_command
from app.shielded import shielded

PROGRAM = "app.agents.workspace.comparison"
_ERROR_LIMIT = 2**16
_HEAD_LIMIT = 4 * 2**20
_GRACE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the files of a clone differ from a commit."""

    patch: bytes
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes of the files that changed
    notes: Sequence[str] = ()  # what the patch lacks
    # Files of the commit that are no longer as there: their blobs of then, and those that are texts.
    changed: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> str:
        """A word that stays the same as long as the files do."""
        return hashlib.sha256(orjson.dumps(self.notes) + b"\0" + self.patch).hexdigest()[:40]


async def compare(
    sandbox: Sandbox,
    confinement: Confinement,
    environment: Mapping[str, str],
    *,
    scratch: Path,
    base: str | None,
) -> Comparison:
    """Compare the clone with the commit `base`, None for no files, by git in the sandbox. Raises WorkspaceBroken.

    `scratch` is our scratch repository with the index `index.base`. Not a part of what the run uses: the program limits
    itself, and the caller its time.
    """
    command = (*module_command(PROGRAM), base or "", OWN_FOLDER, str(PATCH_LIMIT + 1))
    variables = {**confined_environment(environment), **GIT_ENVIRONMENT, "GIT_DIR": str(scratch)}
    process = await sandbox.start(command, confinement, variables)
    try:
        (said, _), (errors, _) = await asyncio.gather(
            read_bounded(process.stdout, _HEAD_LIMIT + PATCH_LIMIT),
            read_bounded(process.stderr, _ERROR_LIMIT),
        )
        code = await process.wait()
    finally:
        await shielded(process.stop(_GRACE_SECONDS))
    head, _, patch = said.partition(b"\n")
    if code != 0 or not head:
        raise WorkspaceBroken(f"The files cannot be compared: {last_lines(errors.decode(errors='replace'))}")
    facts: Any = orjson.loads(head)
    whole = patch if len(patch) <= PATCH_LIMIT else cut_patch(patch[:PATCH_LIMIT])
    return Comparison(patch=whole, **facts)
