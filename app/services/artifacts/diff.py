"""Show the changes of a run in pages of files: from its patch in the object store (contract 17.9), or live (19.1)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, assert_never, cast
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import ObjectStore
from app.clients.s3 import ObjectMissing, RangeNotSatisfiable
from app.db import release
from app.enums import (
    TERMINAL_STATUSES,
    ArtifactType,
    DiffBase,
    DiffMissing,
    DiffSource,
    Environment,
    RunStatus,
)
from app.errors import ArtifactNotFound, NotFound
from app.models import PushedBranch, Run, Task
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.runs.diff import ChangeTotals, DiffOut, DiffQuery, FileDiff, FileTextOut, FileTextQuery
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.artifacts import live_diff
from app.services.artifacts.live_diff import LiveFacts
from app.services.artifacts.patches import PatchedFile, PatchReader
from app.services.opened_clients import ServiceClients
from app.services.run_facts import CHANGES
from app.services.storage_keys import RunRef
from app.services.views.entity_tags import Held, digest_of
from app.statements import row_of

# As workers store it.
PATCH_NAME = "changes.patch"

# Of the files of a page, encoded; the answer stays below 2 MB.
_PAGE_BYTES = 1_900_000
_PAGE_FILES = 1000
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class RunChanges:
    """The changes of one run for a caller. Each method releases the session, and asks the run's worker if need be."""

    session: AsyncSession
    caller: Principal
    ref: RunRef
    clients: ServiceClients

    async def page(self, query: DiffQuery, held: Held) -> tuple[str, DiffOut | None]:
        """Return the tag of a page of the changed files, and the page; None if the client has it already."""
        run = await self._find()
        facts, patch, missing = None, b"", DiffMissing.NO_BRANCH if query.base is DiffBase.BRANCH else None
        path, is_live = _patch_path(run.artifacts), run.shows_live(query.source)
        if is_live and missing is None:
            facts, patch, missing = await self._ask(run, "patch", later=query.cursor > 0)
        version = (facts and facts["tree"], missing, path, run.head_sha, run.changes)
        tag = held.tag(0, digest_of(map(str, version)))
        if held.has(tag):
            return tag, None
        shown: DiffOut = {
            "base": run.base_branch or run.branch,
            "head": run.head_sha,
            "files": [],
            "source": "live" if is_live else "stored",
            "tree": facts and facts["tree"],
            "at": datetime.fromisoformat(facts["at"]) if facts else None,
            "totals": (facts and facts["totals"]) if is_live else run.changes,
            "left_out": facts["left_out"] if facts else [],
            "missing": missing,
            "next": None,
        }
        if facts is not None:
            await _fill(shown, _parse(live_diff.unpack(patch)[query.cursor :], query.cursor), facts["sizes"])
        elif not is_live and path is not None and missing is None:
            await _fill(shown, _files(self.clients.store, path, query.cursor), {})
        return tag, shown

    async def text(self, query: FileTextQuery) -> FileTextOut:
        """Return the text that a changed file had where the work began."""
        run = await self._find()
        facts, packed, missing = None, b"", None
        if run.shows_live(query.source):
            facts, packed, missing = await self._ask(run, "texts", later=True)
        else:
            packed = await _stored_texts(self.clients.store, self.ref)
        texts = await asyncio.to_thread(live_diff.unpack_texts, packed) if packed else {}
        text = texts.get(query.path)
        if text is None and missing is None:
            missing = DiffMissing.NO_TEXT
        return {"path": query.path, "tree": facts and facts["tree"], "text": text, "missing": missing}

    async def _ask(
        self, run: "_Run", part: Literal["patch", "texts"], *, later: bool
    ) -> tuple[LiveFacts | None, bytes, DiffMissing | None]:
        if run.why_not_live is not None:
            return None, b"", run.why_not_live
        found = await live_diff.ask(self.clients.redis, run.id, part, later=later)
        return (*found, found[0]["missing"]) if found else (None, b"", DiffMissing.NO_ANSWER)

    async def _find(self) -> "_Run":
        statement = (
            select(
                Run.id,
                Run.status,
                Run.environment,
                Run.lease_owner.is_not(None).label("is_held"),
                Run.verification.is_not(None).label("is_checked"),
                Run.facts,
                Run.artifacts,
                Run.branch,
                PushedBranch.base_branch,
                PushedBranch.head_sha,
            )
            .join(Task, Task.id == Run.task_id)
            .outerjoin(PushedBranch, PushedBranch.run_id == Run.id)
            .where(visible_run(self.caller, self.ref.task_id, self.ref.run_id))
        )
        run = await row_of(self.session, statement, _Run)
        if run is None:
            raise NotFound
        await release(self.session)
        return run


async def _stored_texts(store: ObjectStore, ref: RunRef) -> bytes:
    packed = b""
    try:
        async with store.open(ref.texts_key) as content:
            async for chunk in content.chunks:
                packed += chunk
    except ObjectMissing:
        pass
    return packed


class _Run(NamedTuple):
    id: UUID
    status: str
    environment: str
    is_held: bool
    is_checked: bool
    facts: dict[str, Any]
    artifacts: list[ManifestEntry]
    branch: str | None
    base_branch: str | None
    head_sha: str | None

    @property
    def changes(self) -> ChangeTotals | None:
        return self.facts.get(CHANGES)

    @property
    def why_not_live(self) -> DiffMissing | None:
        """Why no worker can show the workspace of the run now; None if one can."""
        if self.status in TERMINAL_STATUSES:
            return DiffMissing.OVER
        if self.status != RunStatus.IN_PROGRESS:
            return DiffMissing.NOT_STARTED if self.environment == Environment.CLOUD else DiffMissing.ELSEWHERE
        if not self.is_held:
            return DiffMissing.OVER if self.is_checked else DiffMissing.ELSEWHERE
        return None

    def shows_live(self, source: DiffSource) -> bool:
        match source:
            case DiffSource.STORED:
                return False
            case DiffSource.LIVE:
                return True
            case DiffSource.AUTO:
                is_first = not self.is_checked and self.why_not_live is DiffMissing.NOT_STARTED
                return self.why_not_live is None or is_first
            case _:
                assert_never(source)


async def _fill(shown: DiffOut, found: AsyncGenerator[PatchedFile, None], sizes: Mapping[str, int]) -> None:
    size = 0
    async with aclosing(found) as files:
        async for file in files:
            row = _row(file)
            if row["binary"]:
                row["new_size"] = row["new_size"] or sizes.get(row["path"])
            size += len(orjson.dumps(row)) + 1
            if shown["files"] and (size > _PAGE_BYTES or len(shown["files"]) >= _PAGE_FILES):
                shown["next"] = str(file.offset)
                break
            shown["files"].append(row)


async def _parse(patch: bytes, offset: int) -> AsyncGenerator[PatchedFile, None]:
    reader = PatchReader(offset)
    for at in range(0, len(patch), _CHUNK):
        for file in reader.feed(patch[at : at + _CHUNK]):
            yield file
        # A large one takes a while.
        await asyncio.sleep(0)
    for file in reader.finish():
        yield file


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
        "truncated": file.is_truncated or file.is_bare,
    }
    text = file.text
    if text is not None:
        row["patch"] = text
    return row
