"""The job that checks what a run delivered: claim an attempt, perform it, conclude. No session is open meanwhile.

A job performs the attempt that has waited longest. If this worker dies, the sweep gives the attempt to another one.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from app.clock import utcnow
from app.services.enqueueing import enqueue_run_after_commit, remove_verification_job
from app.services.retrying.retries import in_transaction
from app.services.runs.verification import attempts
from app.services.runs.verification.attempts import Conclusion, OpenAttempt
from app.shielded import shielded
from app.worker.context import WorkerContext, worker_context
from app.worker.run.claim import new_owner
from app.worker.run.lease import LeaseLost, hold_lease
from app.worker.verification.stages import check

log = structlog.get_logger(__name__)


async def verify_run(ctx: Mapping[str, Any]) -> None:
    """Job: claim the attempt that has waited longest, check what its run delivered, and store what follows."""
    worker = worker_context(ctx)
    sessions = worker.process.sessions
    await remove_verification_job(worker.process.queue, ctx["job_id"])
    since = utcnow()
    # A task of its own, which a stop does not cancel: cut off after its commit, a claim would last for all its lease.
    claiming = asyncio.create_task(in_transaction(sessions, partial(attempts.claim, owner=new_owner())))
    try:
        claimed = await asyncio.shield(claiming)
        if claimed is None:
            return
        structlog.contextvars.bind_contextvars(run_id=str(claimed.run_id), attempt=claimed.attempt)
        extend = partial(attempts.extend_lease, claimed=claimed)
        async with hold_lease(sessions, worker.changes, claimed.run_id, extend, since=since) as lost:
            await _conclude(worker, claimed, await check(worker, claimed, lost))
    except LeaseLost:
        log.warning("verification.lease_lost")
    except asyncio.CancelledError:
        await shielded(_hand_back(worker, claiming))
        raise


async def _conclude(worker: WorkerContext, claimed: OpenAttempt, conclusion: Conclusion | None) -> None:
    if conclusion is None:
        return
    process = worker.process

    async def step(session: Any) -> bool:
        is_concluded = await attempts.conclude(session, claimed, conclusion, events=process.events)
        if is_concluded and conclusion.repair is not None:
            enqueue_run_after_commit(session, process.queue, claimed.run_id)
        return is_concluded

    if not await in_transaction(process.sessions, step):
        log.info("verification.closed_by_another")


async def _hand_back(worker: WorkerContext, claiming: asyncio.Task[OpenAttempt | None]) -> None:
    claimed = await claiming
    if claimed is not None:
        await in_transaction(worker.process.sessions, partial(attempts.hand_back, claimed=claimed))
