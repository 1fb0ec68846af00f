"""Store the branch that each run pushed, for runs that resume it and for webhooks about it."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import case, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.github.github_answers import PullRequest
from app.clock import utcnow
from app.db.statements import row_of
from app.enums import EventType
from app.models import PushedBranch, Run
from app.services.events.run_ledger import record_for_run
from app.services.resume_chain import resume_chain

# Begins the names of all branches that this service pushes.
BRANCH_PREFIX = "taskbeacon/"


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchRecord:
    """The branch that a run pushed to its code host, with its pull request, if any."""

    repository: str
    integration_id: int | None
    branch: str
    base_branch: str | None
    head_sha: str
    base_sha: str | None = None  # where the work on the branch began
    pull_request: PullRequest | None = None


async def record_branch(session: AsyncSession, *, task_id: UUID, run_id: UUID, pushed: BranchRecord) -> None:
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
    """The branch on which a run continues, and the commit from which the work on it began."""

    name: str
    base_sha: str | None


async def branch_to_resume(
    session: AsyncSession, *, task_id: UUID, run_id: UUID, repository: str
) -> ContinuedBranch | None:
    """Return the branch on which a run continues: its own, else that of the runs that it resumes; None if none has."""
    chain = resume_chain(task_id, run_id, Run.id)
    found = (
        select(PushedBranch.branch.label("name"), PushedBranch.base_sha)
        .join(chain, chain.c.id == PushedBranch.run_id)
        .where(PushedBranch.repository == repository.lower())
        .order_by(chain.c.depth)
        .limit(1)
    )
    return await row_of(session, found, ContinuedBranch)
