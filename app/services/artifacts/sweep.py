"""Remove files that no client can reach any more (contract 8.3), in addition to the bucket's own rules.

    expired      staged files after their day
    deleted      files of a task that was deleted more than a week ago, once none of its runs is live
    unclaimed    uploads a day old that were never finalised, or never taken up by their run

The bucket is read page by page; for each page the database is asked for references before anything is removed. Files
that a run of an existing task lists, and files of a live run, are never removed. No new reference can appear in
between: finalising refuses uploads of that age (services/artifacts/uploads.py). Repeatable, and safe while other
sweeps.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.object_store import KEPT_DAYS, STAGED_DAYS, ListedObject, ObjectStore
from app.clients.s3 import ObjectStoreUnavailable
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import TERMINAL_STATUSES
from app.models import Run, StagedArtifact, Task
from app.services.artifacts.uploads import UNCLAIMED_LIFETIME, manifest_entry
from app.services.storage_keys import ARTIFACTS_PREFIX, owner_of_key
from app.services.sweeping import delete_batch, until_none_is_left
from app.statements import rows_of

# Time for an operator to rescue the files of a deleted task.
DELETED_LIFETIME = timedelta(days=7)

log = structlog.get_logger(__name__)


class SweepReason(StrEnum):
    """The reason why a sweep removes a stored file: the file expired, its task was deleted, or no run ever used it."""

    EXPIRED = "expired"
    DELETED = "deleted"
    UNCLAIMED = "unclaimed"


@dataclass(frozen=True, slots=True)
class SweptObject:
    """A stored file that a sweep removes, or in a dry run only reports."""

    key: str
    size: int
    reason: SweepReason


@dataclass(slots=True)
class Sweep:
    """The result of a sweep: how many stored files were removed, and how many expired database entries of staged files.

    Staged files were uploaded for a task and not used by a run in time.
    """

    expired_entries: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """The facts in the database about the files of one page, and about the tasks that they belong to."""

    gone: Collection[UUID]  # tasks that were deleted long ago, without a run that is not over
    staged: Mapping[str, datetime]  # until when the file waits for a run
    attached: Collection[str]


async def write_lifecycle(bucket: ObjectStore) -> None:
    """Configure the bucket to delete each tagged file after the number of days in its tag (contract 8.3)."""
    try:
        if await bucket.write_lifecycle((STAGED_DAYS, KEPT_DAYS)):
            log.info("artifacts.lifecycle_written")
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.lifecycle_not_written", error=repr(error.__cause__ or error))


async def sweep_artifacts(
    sessions: SessionFactory, bucket: ObjectStore, *, dry_run: bool, listed: list[SweptObject] | None = None
) -> Sweep:
    """Delete stored files that no client can reach any more, and expired entries of staged files; return the result.

    With `dry_run`, nothing is deleted, and files are not counted. The files are added to `listed`, if given. Raises
    ObjectStoreUnavailable.
    """
    sweep = Sweep()
    async for page in _pages(bucket):
        async with unit_of_work(sessions) as session:
            known = await _known(session, page)
        going = [swept for each in page if (swept := _judge(each, known)) is not None]
        if listed is not None:
            listed += going
        if going and not dry_run:
            sweep.removed += await bucket.delete([swept.key for swept in going])
    # Last: the expired rows are the reason recorded for their objects.
    sweep.expired_entries = await _expire_entries(sessions, dry_run=dry_run)
    if not dry_run and (sweep.removed or sweep.expired_entries):
        log.info("artifacts.swept", objects=sweep.removed, expired_entries=sweep.expired_entries)
    return sweep


async def _pages(bucket: ObjectStore) -> AsyncIterator[Sequence[ListedObject]]:
    async for page in bucket.pages(ARTIFACTS_PREFIX):
        # Keys of another form are not ours.
        ours = [listed for listed in page if owner_of_key(listed.key) is not None]
        if ours:
            yield ours


async def _expire_entries(sessions: SessionFactory, *, dry_run: bool) -> int:
    expired = StagedArtifact.expires_at <= utcnow()
    if not dry_run:
        return await until_none_is_left(
            sessions, partial(delete_batch, model=StagedArtifact, expired=expired)
        )
    async with unit_of_work(sessions) as session:
        count = select(func.count()).select_from(StagedArtifact).where(expired)
        return await session.scalar(count) or 0


async def _known(session: AsyncSession, page: Sequence[ListedObject]) -> _Known:
    owners = {owner[1] for listed in page if (owner := owner_of_key(listed.key)) is not None}
    live = select(Run.id).where(Run.task_id == Task.id, Run.status.not_in(TERMINAL_STATUSES)).exists()
    gone = select(Task.id).where(
        Task.id.in_(owners), Task.deleted, Task.deleted_at <= utcnow() - DELETED_LIFETIME, ~live
    )
    staged = select(StagedArtifact.storage_path, StagedArtifact.expires_at).where(
        StagedArtifact.task_id.in_(owners)
    )
    entry = manifest_entry(Run.artifacts)
    attached = select(entry["storage_path"].astext).select_from(Run).where(Run.task_id.in_(owners))
    return _Known(
        gone=frozenset(await session.scalars(gone)),
        staged=dict(await rows_of(session, staged)),
        attached=frozenset(await session.scalars(attached)),
    )


def _judge(listed: ListedObject, known: _Known) -> SweptObject | None:
    owner = owner_of_key(listed.key)
    assert owner is not None
    now = utcnow()
    if owner[1] in known.gone:
        return SweptObject(listed.key, listed.size, SweepReason.DELETED)
    expires_at = known.staged.get(listed.key)
    is_waiting = expires_at is not None and expires_at > now
    # A young one may be finalised in a moment.
    if is_waiting or listed.key in known.attached or listed.modified_at > now - UNCLAIMED_LIFETIME:
        return None
    reason = SweepReason.UNCLAIMED if expires_at is None else SweepReason.EXPIRED
    return SweptObject(listed.key, listed.size, reason)
