"""Show the changes of a run in pages of files, from its patch in the object store (contract 17.9)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal, NamedTuple, cast
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStore
from app.clients.s3 import ObjectMissing, RangeNotSatisfiable
from app.db import release
from app.enums import ArtifactType
from app.errors import ArtifactNotFound, NotFound
from app.models import PushedBranch, Run, Task
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.runs.diff import DiffOut, FileDiff
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.artifacts.patches import PatchedFile, PatchReader
from app.statements import row_of

# As workers store it.
PATCH_NAME = "changes.patch"

# Of the files of a page, encoded; the answer stays below 2 MB.
_PAGE_BYTES = 1_900_000
_PAGE_FILES = 1000


async def read_diff(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, cursor: int, *, store: ObjectStore
) -> DiffOut:
    """Return a page of the files that a run changed, from byte `cursor` of its patch on. Releases the session."""
    run = await _find_run(session, caller, task_id, run_id)
    await release(session)
    shown: DiffOut = {"base": run.base_branch or run.branch, "head": run.head_sha, "files": [], "next": None}
    path = _patch_path(run.artifacts)
    if path is None:
        return shown
    size = 0
    async with aclosing(_files(store, path, cursor)) as files:
        async for file in files:
            row = _row(file)
            size += len(orjson.dumps(row)) + 1
            if shown["files"] and (size > _PAGE_BYTES or len(shown["files"]) == _PAGE_FILES):
                shown["next"] = str(file.offset)
                break
            shown["files"].append(row)
    return shown


class _Run(NamedTuple):
    artifacts: list[ManifestEntry]
    branch: str | None
    base_branch: str | None
    head_sha: str | None


async def _find_run(session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID) -> _Run:
    statement = (
        select(Run.artifacts, Run.branch, PushedBranch.base_branch, PushedBranch.head_sha)
        .join(Task, Task.id == Run.task_id)
        .outerjoin(PushedBranch, PushedBranch.run_id == Run.id)
        .where(visible_run(caller, task_id, run_id))
    )
    run = await row_of(session, statement, _Run)
    if run is None:
        raise NotFound
    return run


def _patch_path(artifacts: list[ManifestEntry]) -> str | None:
    for entry in reversed(artifacts):
        if entry["name"] == PATCH_NAME and entry["type"] == ArtifactType.OUTPUT:
            return entry["storage_path"]
    return None


async def _files(store: ObjectStore, path: str, offset: int) -> AsyncGenerator[PatchedFile, None]:
    reader = PatchReader(offset)
    byte_range = f"bytes={offset}-" if offset else None
    try:
        async with store.open(path, byte_range=byte_range) as content:
            async for chunk in content.chunks:
                for file in reader.feed(chunk):
                    yield file
    except RangeNotSatisfiable:
        return
    except ObjectMissing:
        raise ArtifactNotFound from None
    for file in reader.finish():
        yield file


def _row(file: PatchedFile) -> FileDiff:
    old, new = file.names
    row: FileDiff = {
        "path": old if file.status == "D" else new,
        "old_path": old if file.status == "R" else None,
        "status": cast("Literal['A', 'M', 'D', 'R']", file.status),
        "additions": file.additions,
        "deletions": file.deletions,
        "binary": file.is_binary,
        "old_size": file.sizes[0],
        "new_size": file.sizes[1],
        "truncated": file.is_truncated,
    }
    text = file.text
    if text is not None:
        row["patch"] = text
    return row
