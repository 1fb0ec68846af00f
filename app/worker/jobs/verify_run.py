"""The job that checks what a run delivered: claim an attempt, perform it, conclude. No session is open meanwhile."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.services import enqueueing
from app.services.retrying.retries import in_transaction
from app.services.runs.verification import verification_lifecycle
from app.services.runs.verification.verification_lifecycle import Conclusion, OpenAttempt
from app.shielded import shielded
from app.worker.run.claim import new_owner
from app.worker.run.lease import LeaseLost, hold_lease
from app.worker.verification.verification_stages import check
from app.worker.worker_context import WorkerContext, worker_context

log = structlog.get_logger(__name__)


async def verify_run(ctx: Mapping[str, Any]) -> None:
    """Job: claim the attempt that has waited longest, check what its run delivered, and store what follows."""
    worker = worker_context(ctx)
    sessions = worker.process.sessions
    await enqueueing.remove_verification_job(worker.process.queue, ctx["job_id"])
    since = utcnow()
    # A task of its own, which a stop does not cancel: cut off after its commit, a claim would last for all its lease.
    claiming = asyncio.create_task(
        in_transaction(sessions, partial(verification_lifecycle.claim, owner=new_owner()))
    )
    try:
        if (claimed := await asyncio.shield(claiming)) is None:
            return
        structlog.contextvars.bind_contextvars(run_id=str(claimed.run_id), attempt=claimed.attempt)
        extend = partial(verification_lifecycle.extend_lease, claimed=claimed)
        async with hold_lease(sessions, worker.changes, claimed.run_id, extend, since=since) as lost:
            if (conclusion := await check(worker, claimed, lost)) is not None:
                await _conclude(worker, claimed, conclusion)
    except LeaseLost:
        log.warning("verification.lease_lost")
    except asyncio.CancelledError:
        await shielded(_hand_back(worker, claiming))
        raise


async def _conclude(worker: WorkerContext, claimed: OpenAttempt, conclusion: Conclusion) -> None:
    process = worker.process

    async def step(session: AsyncSession) -> bool:
        is_concluded = await verification_lifecycle.conclude(
            session, claimed, conclusion, events=process.events
        )
        if is_concluded and conclusion.repair is not None:
            enqueueing.enqueue_run_after_commit(session, process.queue, claimed.run_id)
        return is_concluded

    if not await in_transaction(process.sessions, step):
        log.info("verification.closed_by_another")


async def _hand_back(worker: WorkerContext, claiming: asyncio.Task[OpenAttempt | None]) -> None:
    claimed, queue = await claiming, worker.process.queue
    if claimed is None:
        return

    async def step(session: AsyncSession) -> None:
        if await verification_lifecycle.hand_back(session, claimed):
            enqueueing.enqueue_verification_after_commit(session, queue, claimed.run_id, claimed.attempt)

    await in_transaction(worker.process.sessions, step)
