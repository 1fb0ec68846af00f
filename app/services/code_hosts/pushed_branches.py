"""Store the branch that each run pushed, for runs that resume it and for webhooks about it.

Its row has the lease by which one process at a time writes the pull request of the branch.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, case, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.session.transcript import Emit
from app.clients.github.github_answers import PullRequest
from app.clock import utcnow
from app.db import SessionFactory
from app.db.statements import count_changed, row_of
from app.dialogue.agent_reports import progress_entry
from app.enums import EventType
from app.models import PushedBranch, Run
from app.services.events.run_ledger import record_for_run
from app.services.resume_chain import resume_chain
from app.services.retrying.policies import (
    PULL_REQUEST_LEASE,
    PULL_REQUEST_LOOK_SECONDS,
    PULL_REQUEST_PATIENCE,
)
from app.services.retrying.retries import in_transaction

# Before the end of its lease a writer is cut off.
_MARGIN = timedelta(seconds=10)
# The names of the branches that this service pushes begin so.
BRANCH_PREFIX = "taskbeacon/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRecord:
    """The branch that a run pushed to its code host, with its pull request, if any."""

    repository: str
    integration_id: int | None
    branch: str
    base_branch: str | None
    head_sha: str
    base_sha: str | None = None  # where the work on the branch began
    pull_request: PullRequest | None = None


async def record_push(session: AsyncSession, *, task_id: UUID, run_id: UUID, pushed: PushRecord) -> None:
    """Store the branch that a run pushed. It replaces a branch that was stored for the same run before."""
    values = {
        "task_id": task_id,
        "integration_id": pushed.integration_id,
        "repository": pushed.repository.lower(),
        "branch": pushed.branch,
        "base_branch": pushed.base_branch,
        "head_sha": pushed.head_sha,
        "base_sha": pushed.base_sha,
        "pull_request_url": pushed.pull_request.url if pushed.pull_request else None,
        "created_at": utcnow(),
    }
    known = await session.scalar(
        select(PushedBranch.pull_request_url).where(PushedBranch.run_id == run_id).with_for_update()
    )
    is_same = PushedBranch.head_sha == pushed.head_sha
    said_before = case((is_same, PushedBranch.ci), else_=literal({}, PushedBranch.ci.type))
    await session.execute(
        upsert(PushedBranch)
        .values(run_id=run_id, **values)
        .on_conflict_do_update(index_elements=[PushedBranch.run_id], set_=values | {"ci": said_before})
    )
    if pushed.pull_request is not None and pushed.pull_request.url != known:
        opened = {"pr_url": pushed.pull_request.url}
        await record_for_run(session, run_id, EventType.RUN_PULL_REQUEST_OPENED, [opened])


class ContinuedBranch(NamedTuple):
    """The branch on which a run continues, the commit from which the work on it began, and the verdict about it."""

    name: str
    base_sha: str | None
    verdict: str | None


async def branch_to_resume(
    session: AsyncSession, *, task_id: UUID, run_id: UUID, repository: str
) -> ContinuedBranch | None:
    """Return the branch on which a run continues: its own, else that of the runs that it resumes; None if none has."""
    chain = resume_chain(task_id, run_id, Run.id, Run.verification["verdict"].astext.label("verdict"))
    found = (
        select(PushedBranch.branch.label("name"), PushedBranch.base_sha, chain.c.verdict)
        .join(chain, chain.c.id == PushedBranch.run_id)
        .where(PushedBranch.repository == repository.lower())
        .order_by(chain.c.depth)
        .limit(1)
    )
    return await row_of(session, found, ContinuedBranch)


@asynccontextmanager
async def sole_writer(
    sessions: SessionFactory,
    repository: str,
    branch: str,
    emit: Emit | None = None,
    *,
    patience: timedelta = PULL_REQUEST_PATIENCE,
) -> AsyncGenerator[None, None]:
    """Wait until no other process writes about a branch that was pushed before, and keep others waiting in the body.

    The text of a pull request is read, changed and replaced as a whole: two writers at once would undo each other. What
    takes too long, as a wait of more than `patience` does, ends with TimeoutError; the lease of a lost process ends by
    itself. A wait, and its end, are told to `emit`.
    """
    gives_up_at = utcnow() + patience
    where = (PushedBranch.repository == repository.lower(), PushedBranch.branch == branch)
    has_waited = False
    while (until := await in_transaction(sessions, partial(_take, where=where))) is None:
        if utcnow() >= gives_up_at:
            raise TimeoutError
        if emit and not has_waited:
            message = f"The pull request waits: another process writes about the branch {branch}."
            await emit(progress_entry("pull_request", message))
        has_waited = True
        await asyncio.sleep(PULL_REQUEST_LOOK_SECONDS)
    try:
        async with asyncio.timeout((PULL_REQUEST_LEASE - _MARGIN).total_seconds()):
            if emit and has_waited:
                await emit(progress_entry("pull_request", "The pull request goes on."))
            yield
    finally:
        held = update(PushedBranch).where(*where, PushedBranch.writing_until == until)
        released = held.values(writing_until=None)
        await in_transaction(sessions, lambda session: count_changed(session, released))


async def _take(session: AsyncSession, where: tuple[ColumnElement[bool], ...]) -> datetime | None:
    # The rows of all runs that pushed it, in one order: another process that takes it waits, and finds the lease.
    rows = select(PushedBranch.writing_until).where(*where).order_by(PushedBranch.run_id)
    now = utcnow()
    leases = await session.scalars(rows.with_for_update(key_share=True))
    if any(until is not None and until > now for until in leases):
        return None
    until = now + PULL_REQUEST_LEASE
    await session.execute(update(PushedBranch).where(*where).values(writing_until=until))
    return until
