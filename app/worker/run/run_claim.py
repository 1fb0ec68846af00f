"""A job's claim on a run: taken first, and handed back when the worker is stopped."""

import os
import socket

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import AgentStopped
from app.ids import new_hex_id
from app.services.enqueueing import enqueue_run_after_commit
from app.services.retrying.retries import in_transaction
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import Claim, find_claimed
from app.worker.worker_context import WorkerContext

_LONGEST_HOST_NAME = 20

log = structlog.get_logger(__name__)


def new_owner() -> str:
    """Return a unique name for a job, by which operators see which process holds a run."""
    return f"{socket.gethostname()[:_LONGEST_HOST_NAME]}:{os.getpid()}:{new_hex_id()}"


async def claim_run(worker: WorkerContext) -> Claim | None:
    """Claim the next run as `run_lifecycle.claim` does: only one, even if the transaction is repeated."""
    owner = new_owner()
    is_repeated = False

    async def step(session: AsyncSession) -> Claim | None:
        nonlocal is_repeated
        # A commit that was not acknowledged may have claimed a run: a second claim would leave it unperformed.
        held = await find_claimed(session, owner=owner) if is_repeated else None
        is_repeated = True
        return held or await run_lifecycle.claim(
            session,
            owner=owner,
            events=worker.process.events,
            limit=worker.process.settings.project_concurrency,
        )

    return await in_transaction(worker.process.sessions, step)


async def mark_agent_started(worker: WorkerContext, claim: Claim) -> None:
    """Store that the agent of a run starts now. If the worker is lost later, the run fails and is not repeated."""
    is_held = await in_transaction(
        worker.process.sessions,
        lambda session: run_lifecycle.mark_agent_started(session, claim.run_id, owner=claim.owner),
    )
    if not is_held:
        # The same error as if the heartbeat had noticed the loss first.
        raise AgentStopped("The run was stopped.")


async def hand_back_run(worker: WorkerContext, claim: Claim) -> None:
    """Release the claim on a run and enqueue the run for another worker. Does nothing if the claim is already lost."""

    async def step(session: AsyncSession) -> bool:
        is_returned = await run_lifecycle.hand_back(
            session, claim.run_id, owner=claim.owner, events=worker.process.events
        )
        if is_returned:
            enqueue_run_after_commit(session, worker.process.queue, claim.run_id)
        return is_returned

    # Retried, since the database may restart together with the worker, and the run would fail as lost.
    if await in_transaction(worker.process.sessions, step):
        log.info("run.handed_back")
