"""The lease by which one process at a time writes the pull request of a branch; it is in the rows of the branch."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.session.transcript import Emit
from app.clients.github.github_errors import GitHubUnavailable
from app.clock import utcnow
from app.coroutines.periodic import attempt
from app.db import SessionFactory
from app.dialogue.agent_reports import progress_entry
from app.models import PushedBranch
from app.services.retrying.policies import (
    PULL_REQUEST_LEASE,
    PULL_REQUEST_LOOK_SECONDS,
    PULL_REQUEST_PATIENCE,
)
from app.services.retrying.retries import in_transaction

# A writer is stopped this long before its lease ends.
_MARGIN = timedelta(seconds=10)


@asynccontextmanager
async def sole_writer(
    sessions: SessionFactory,
    repository: str,
    branch: str,
    emit: Emit | None = None,
    *,
    patience: timedelta = PULL_REQUEST_PATIENCE,
) -> AsyncGenerator[None, None]:
    """Wait until no other process writes about a pushed branch, and keep others waiting during the block.

    The text of a pull request is read, changed and replaced as a whole: two writers at once would undo each other. A
    wait longer than `patience`, or a block that takes too long, ends with GitHubUnavailable. A lease that is not
    released expires. `emit` gets the beginning and the end of a wait. A branch without a row has no lease: its name is
    new, and nothing but the run that pushes it first knows it.
    """
    gives_up_at = utcnow() + patience
    where = (PushedBranch.repository == repository.lower(), PushedBranch.branch == branch)
    has_waited = False
    while (until := await in_transaction(sessions, partial(_take, where=where))) is None:
        if utcnow() >= gives_up_at:
            raise GitHubUnavailable(f"Other processes write about the branch {branch}.")
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
    except TimeoutError as error:
        raise GitHubUnavailable(f"Writing about the branch {branch} took too long.") from error
    finally:
        # Only logged, since the result of the block is more important. The lease expires.
        release = partial(in_transaction, sessions, partial(_release, where=where, until=until))
        await attempt(release, event="pull_request.lease_not_released")


async def _take(session: AsyncSession, where: tuple[ColumnElement[bool], ...]) -> datetime | None:
    # Locks the rows of all runs that pushed the branch, in one order. Another process waits here, and finds the lease.
    rows = select(PushedBranch.writing_until).where(*where).order_by(PushedBranch.run_id)
    now = utcnow()
    leases = await session.scalars(rows.with_for_update(key_share=True))
    if any(until is not None and until > now for until in leases):
        return None
    until = now + PULL_REQUEST_LEASE
    await session.execute(update(PushedBranch).where(*where).values(writing_until=until))
    return until


async def _release(session: AsyncSession, where: tuple[ColumnElement[bool], ...], until: datetime) -> None:
    held = update(PushedBranch).where(*where, PushedBranch.writing_until == until)
    await session.execute(held.values(writing_until=None))
