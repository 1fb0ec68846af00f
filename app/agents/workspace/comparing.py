"""Compares the files of a clone, while its agent works, with the commit that the work started from."""

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
from app.processes.output import last_lines
from app.processes.own_program import module_command
from app.schemas.runs.diff import ChangeTotals

PROGRAM = "app.agents.workspace.comparison"
_HEAD_LIMIT = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the files of a clone differ from a commit."""

    patch: bytes
    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes of the files that changed
    notes: Sequence[str] = ()  # what the patch lacks
    totals: ChangeTotals | None = None
    texts: Mapping[str, str] = field(default_factory=dict)  # of the changed files, as they were

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
    code, said, errors = await process.finish(_HEAD_LIMIT + PATCH_LIMIT)
    head, _, patch = said.partition(b"\n")
    if code != 0 or not head:
        raise WorkspaceBroken(f"The files cannot be compared: {last_lines(errors)}")
    facts: Any = orjson.loads(head)
    whole = patch if len(patch) <= PATCH_LIMIT else cut_patch(patch[:PATCH_LIMIT])
    return Comparison(patch=whole, **facts)
