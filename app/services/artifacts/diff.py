"""Show the changes of a run in pages of files: from its patch in the object store (contract 17.9), or live (19.1)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.git.patches import PatchedFile, PatchReader
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, RangeNotSatisfiable
from app.clients.storage.storage_keys import RunRef
from app.db import release
from app.db.statements import row_of
from app.enums import ArtifactType, DiffBase, DiffMissing, DiffSource, Environment
from app.errors import ArtifactNotFound, NotFound
from app.json_types import JsonDict
from app.models import PushedBranch, Run, Task
from app.models.runs.run_facts import CHANGES
from app.models.runs.run_transitions import PHASE, RunPhase
from app.schemas.runs.artifacts import ManifestEntry
from app.schemas.runs.diff import (
    ChangeTotals,
    DiffFacts,
    DiffOut,
    DiffQuery,
    FileDiff,
    FileTextOut,
    FileTextQuery,
    SourceQuery,
)
from app.services.access.principal import Principal
from app.services.access.visibility import visible_run
from app.services.artifacts import live_diff
from app.services.opened_clients import ServiceClients
from app.services.views.entity_tags import Held, digest_of

# Workers store the patch under this name.
PATCH_NAME = "changes.patch"

# The most bytes of the encoded files of a page; the answer stays below 2 MB.
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
        is_live, is_whole = run.shows_live(query), run.shows_whole(query)
        path = self.ref.whole_keys[0] if is_whole else _patch_path(run.artifacts)
        facts, kept = _nothing(None, None if is_whole else run.changes), list[bytes]()
        if is_live:
            facts, kept = await self._ask(run, query, "patch", "sizes", later=query.cursor > 0)
        # Without `at`, so that a new diff with the same content has the same tag.
        version = (*({**facts, "at": None}).values(), path, run.head_sha)
        tag = held.tag(0, digest_of(map(str, version)))
        if held.has(tag):
            return tag, None
        shown: DiffOut = {
            "base": run.base_branch or run.branch,
            "head": run.head_sha,
            "files": [],
            "source": "live" if is_live else "stored",
            "next": None,
            **facts,
        }
        if kept:
            await _fill(shown, _unpacked(kept[0], query.cursor), query.cursor, orjson.loads(kept[1]))
        elif not is_live and path is not None:
            try:
                await _fill(shown, _stored(self.clients.store, path, query.cursor), query.cursor, {})
            except ArtifactNotFound:
                if not is_whole:
                    raise
                shown["missing"] = DiffMissing.NO_BRANCH
        return tag, shown

    async def text(self, query: FileTextQuery) -> FileTextOut:
        """Return the text that a changed file has at the base."""
        run = await self._find()
        if run.shows_live(query):
            facts, kept = await self._ask(run, query, "texts", later=True)
        else:
            key = self.ref.whole_keys[1] if run.shows_whole(query) else self.ref.texts_key
            facts, kept = _nothing(None), [await self._stored_texts(key)]
        texts = await asyncio.to_thread(live_diff.unpack_texts, kept[0]) if any(kept) else {}
        text = texts.get(query.path)
        missing = facts["missing"] or (DiffMissing.NO_TEXT if text is None else None)
        return {"path": query.path, "tree": facts["tree"], "text": text, "missing": missing}

    async def _ask(
        self, run: "_Run", query: SourceQuery, *parts: str, later: bool
    ) -> tuple[DiffFacts, list[bytes]]:
        if run.why_not_live is not None:
            return _nothing(run.why_not_live), []
        base = query.base if run.shows_whole(query) or query.base is DiffBase.BRANCH else DiffBase.START
        topic = live_diff.topic_of(run.id, base)
        found = await live_diff.ask(self.clients.redis, self.clients.diff_waits, topic, *parts, later=later)
        return found or (_nothing(DiffMissing.NO_ANSWER), [])

    async def _stored_texts(self, key: str) -> bytes:
        try:
            return b"".join([chunk async for chunk in _stored(self.clients.store, key, 0)])
        except ArtifactNotFound:
            return b""

    async def _find(self) -> "_Run":
        statement = (
            select(
                Run.id,
                PHASE,
                Run.environment,
                Run.state["resume_from_run_id"].astext.label("continues"),
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


def _nothing(missing: DiffMissing | None, totals: ChangeTotals | None = None) -> DiffFacts:
    return {"tree": None, "at": None, "totals": totals, "left_out": [], "missing": missing, "behind": None}


class _Run(NamedTuple):
    id: UUID
    phase: RunPhase
    environment: Environment
    continues: str | None
    facts: JsonDict
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
        match self.phase:
            case RunPhase.WORKING | RunPhase.REPAIRING:
                return None
            case RunPhase.CHECKING | RunPhase.OVER:
                return DiffMissing.OVER
            case RunPhase.OUTSIDE:
                return DiffMissing.ELSEWHERE
            case RunPhase.NOT_STARTED | RunPhase.QUEUED | RunPhase.REPAIR_QUEUED:
                is_cloud = self.environment is Environment.CLOUD
                return DiffMissing.NOT_STARTED if is_cloud else DiffMissing.ELSEWHERE

    def shows_live(self, query: SourceQuery) -> bool:
        if query.source is DiffSource.LIVE or query.base is DiffBase.BRANCH:
            return True
        begins = self.phase is not RunPhase.REPAIR_QUEUED and self.why_not_live is DiffMissing.NOT_STARTED
        return query.source is DiffSource.AUTO and (self.why_not_live is None or begins)

    def shows_whole(self, query: SourceQuery) -> bool:
        """Whether the changes of earlier runs on the branch are shown too."""
        return query.base is DiffBase.FIRST and bool(self.continues)


async def _fill(
    shown: DiffOut, chunks: AsyncGenerator[bytes, None], offset: int, sizes: Mapping[str, int]
) -> None:
    size = 0
    async with aclosing(_parse(chunks, offset)) as files:
        async for file in files:
            row = _row(file)
            if row["binary"]:
                row["new_size"] = row["new_size"] or sizes.get(row["path"])
            size += len(orjson.dumps(row)) + 1
            if shown["files"] and (size > _PAGE_BYTES or len(shown["files"]) >= _PAGE_FILES):
                shown["next"] = str(file.offset)
                break
            shown["files"].append(row)


async def _parse(chunks: AsyncGenerator[bytes, None], offset: int) -> AsyncGenerator[PatchedFile, None]:
    reader = PatchReader(offset)
    async with aclosing(chunks):
        async for chunk in chunks:
            for file in reader.feed(chunk):
                yield file
            await asyncio.sleep(0)
    for file in reader.finish():
        yield file


async def _unpacked(packed: bytes, offset: int) -> AsyncGenerator[bytes, None]:
    patch = await asyncio.to_thread(live_diff.unpack, packed)
    for at in range(offset, len(patch), _CHUNK):
        yield patch[at : at + _CHUNK]


def _patch_path(artifacts: list[ManifestEntry]) -> str | None:
    for entry in reversed(artifacts):
        if entry["name"] == PATCH_NAME and entry["type"] == ArtifactType.OUTPUT:
            return entry["storage_path"]
    return None


async def _stored(store: ObjectStore, path: str, offset: int) -> AsyncGenerator[bytes, None]:
    try:
        async with store.open(path, byte_range=f"bytes={offset}-" if offset else None) as content:
            async for chunk in content.chunks:
                yield chunk
    except RangeNotSatisfiable:
        return
    except ObjectMissing:
        raise ArtifactNotFound from None


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
