"""Remove files that no client can reach any more (contract 8.3), in addition to the bucket's own rules.

    expired      staged files an hour after their day
    deleted      files of a task that was deleted more than a week ago, once none of its runs is live; its logs,
                 conversations and texts too, which otherwise go by the bucket's rules alone
    unclaimed    uploads a day old that were never finalised, or never taken by their run

The bucket is read page by page; for each page the database is asked for references before anything is removed. Files
that a run of an existing task lists, and files of a live run, are never removed. No new reference can appear in
between: files are refused an hour earlier (`SWEEP_MARGIN`). Repeatable, and safe while another sweeps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.bucket import ListedObject
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.storage.storage_keys import ARTIFACTS_PREFIX, KEYS_PREFIX, owner_of_key
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.db.statements import rows_of
from app.db.sweeping import delete_batch, until_none_is_left
from app.enums import TERMINAL_STATUSES
from app.models import Run, StagedArtifact, Task
from app.services.artifacts.artifact_uploads import SWEEP_MARGIN, UNCLAIMED_LIFETIME, attached_paths

# Time for an operator to rescue the files of a deleted task.
DELETED_LIFETIME = timedelta(days=7)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """The facts in the database about the files of one page, and about the tasks that they belong to."""

    gone: Collection[UUID]  # tasks that were deleted long ago, and whose runs are all over
    staged: Mapping[str, datetime]  # until when the file waits for a run
    attached: Collection[str]


async def write_lifecycle(bucket: ObjectStore) -> None:
    """Configure the bucket to delete each tagged file after the number of days in its tag (contract 8.3)."""
    try:
        if await bucket.bucket.write_rules():
            log.info("artifacts.lifecycle_written")
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.lifecycle_not_written", error=repr(error.__cause__ or error))


async def sweep_artifacts(sessions: SessionFactory, bucket: ObjectStore) -> None:
    """Delete files that no client can reach, and expired entries of staged files. Raises ObjectStoreUnavailable."""
    removed = 0
    async for page in bucket.bucket.list_pages(KEYS_PREFIX):
        async with unit_of_work(sessions) as session:
            known = await read_known(session, page)
        if going := [listed.key for listed in page if _is_unreachable(listed, known)]:
            removed += await bucket.delete(going)
    # The rows last: an expired row explains its object until that is deleted.
    expired = StagedArtifact.expires_at <= utcnow() - SWEEP_MARGIN
    sweep = partial(delete_batch, model=StagedArtifact, expired=expired)
    expired_entries = await until_none_is_left(sessions, sweep)
    if removed or expired_entries:
        log.info("artifacts.swept", objects=removed, expired_entries=expired_entries)


async def read_known(session: AsyncSession, page: Sequence[ListedObject]) -> KnownFiles:
    """Return what the database knows of the files of a page of the bucket."""
    keys = [listed.key for listed in page]
    owners = {owner[1] for key in keys if (owner := owner_of_key(key)) is not None}
    live = select(Run.id).where(Run.task_id == Task.id, Run.status.not_in(TERMINAL_STATUSES)).exists()
    gone = select(Task.id).where(
        Task.id.in_(owners), Task.deleted, Task.deleted_at <= utcnow() - DELETED_LIFETIME, ~live
    )
    staged = select(StagedArtifact.storage_path, StagedArtifact.expires_at).where(
        StagedArtifact.task_id.in_(owners), StagedArtifact.storage_path.in_(keys)
    )
    return KnownFiles(
        gone=frozenset(await session.scalars(gone)),
        staged=dict(await rows_of(session, staged)),
        attached=await attached_paths(session, owners, keys),
    )


def _is_unreachable(listed: ListedObject, known: KnownFiles) -> bool:
    owner = owner_of_key(listed.key)
    if owner is None:
        # Keys of another form are not ours.
        return False
    if owner[1] in known.gone or not listed.key.startswith(ARTIFACTS_PREFIX):
        return owner[1] in known.gone
    now, expires_at = utcnow(), known.staged.get(listed.key)
    is_waiting = expires_at is not None and expires_at > now - SWEEP_MARGIN
    # A young upload may still be finalised.
    is_young = listed.modified_at > now - UNCLAIMED_LIFETIME
    return not (is_waiting or is_young or listed.key in known.attached)
