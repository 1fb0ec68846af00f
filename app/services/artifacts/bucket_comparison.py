"""Compare the rows that name files with the bucket, page by page, for operators who have restored one of the two."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select, tuple_

from app.clients.storage.bucket import KEPT_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import KEYS_PREFIX, LOGS_PREFIX, RunRef, owner_of_key
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.db.statements import rows_of
from app.models import Run, RunLogState, StagedArtifact, Task
from app.services.artifacts.artifact_sweep import read_known
from app.services.artifacts.artifact_uploads import for_each

# The runs of one page; each may have a thousand files.
_AT_ONCE = 20


class ComparedFile(NamedTuple):
    """A file in the rows, in the bucket or in both. Sizes are in bytes; of a log the rows have the valid size."""

    found: str  # "same", "missing", "differs" or "without_row"
    key: str
    row_size: int | None
    stored_size: int | None
    at: datetime


async def compare_files(sessions: SessionFactory, store: ObjectStore) -> AsyncIterator[ComparedFile]:
    """Yield each file that a row names, then those without a row. Raises ObjectStoreUnavailable."""
    async for named in _named_by_rows(sessions):
        infos = await for_each((key for key, _, _ in named), store.head)
        for (key, size, at), info in zip(named, infos, strict=True):
            stored = info.size if info else None
            # A writer that died may have left bytes after the valid size of a log.
            is_same = stored == size or (key.startswith(LOGS_PREFIX) and (stored or 0) > size)
            found = "missing" if info is None else "same" if is_same else "differs"
            yield ComparedFile(found, key, size, stored, at)
    async for page in store.bucket.list_pages(KEYS_PREFIX):
        owners = {listed.key: owner[1] for listed in page if (owner := owner_of_key(listed.key))}
        async with unit_of_work(sessions) as session:
            known = await read_known(session, page)
            runs = select(Run.project_id, Run.task_id, Run.id).where(Run.task_id.in_({*owners.values()}))
            refs = [RunRef(*row) for row in await rows_of(session, runs)]
        of_runs = {
            key for ref in refs for key in (ref.log_key, ref.session_key, ref.texts_key, *ref.whole_keys)
        }
        named_keys = of_runs.union(known.attached, known.staged)
        for key, size, at in ((listed.key, listed.size, listed.modified_at) for listed in page):
            # Keys of another form are not ours; the sweep deletes the files of tasks that are gone.
            if key in owners and owners[key] not in known.gone and key not in named_keys:
                yield ComparedFile("without_row", key, None, size, at)


async def _named_by_rows(sessions: SessionFactory) -> AsyncIterator[list[tuple[str, int, datetime]]]:
    now = utcnow()
    written_at = func.coalesce(Run.completed_at, Run.updated_at)
    runs = select(Run.id, Run.project_id, Run.task_id, Run.artifacts, RunLogState.size, written_at)
    runs = runs.join(Task, Task.id == Run.task_id).outerjoin(RunLogState, RunLogState.run_id == Run.id)
    async for rows in _pages(sessions, runs.where(~Task.deleted), Run.id):
        files = [
            (RunRef(project, task, run).log_key, size, at) for run, project, task, _, size, at in rows if size
        ]
        for entry in (entry for *_, artifacts, _, _ in rows for entry in artifacts):
            files += [(entry["storage_path"], entry["size"], datetime.fromisoformat(entry["uploaded_at"]))]
        # The bucket's rules delete older files.
        yield [file for file in files if file[-1] > now - timedelta(days=KEPT_DAYS)]
    keys = (StagedArtifact.task_id, StagedArtifact.artifact_id)
    staged = select(*keys, StagedArtifact.storage_path, StagedArtifact.size, StagedArtifact.uploaded_at)
    async for rows in _pages(sessions, staged.where(StagedArtifact.expires_at > now), *keys):
        yield [row[len(keys) :] for row in rows]


async def _pages(sessions: SessionFactory, rows: Any, *keys: Any) -> AsyncIterator[list[Any]]:
    page = rows.order_by(*keys).limit(_AT_ONCE)
    while page is not None:
        async with unit_of_work(sessions) as session:
            found = await rows_of(session, page)
        yield found
        is_full = len(found) == _AT_ONCE
        page = page.where(tuple_(*keys) > tuple_(*found[-1][: len(keys)])) if is_full else None
