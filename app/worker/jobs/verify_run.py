"""The job that checks what a run delivered: claim an attempt, perform it, conclude. No session is open meanwhile."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.job_queue import CHECKS_QUEUE
from app.services import enqueueing
from app.services.retrying.retries import in_transaction
from app.services.runs.verification_attempts import verification_lifecycle
from app.services.runs.verification_attempts.verification_lifecycle import Conclusion, OpenAttempt
from app.tracing.spans import span
from app.worker.run import verification_executor
from app.worker.run.lease_and_handback import perform_claimed
from app.worker.run.run_claim import new_owner
from app.worker.worker_context import WorkerContext, worker_context

log = structlog.get_logger(__name__)


async def verify_run(ctx: Mapping[str, Any]) -> None:
    """Job: claim the attempt that has waited longest, check what its run delivered, and store what follows."""
    worker = worker_context(ctx)
    await perform_claimed(
        worker,
        _claim(worker, ctx["job_id"]),
        partial(_perform, worker),
        extend=verification_lifecycle.extend_lease,
        hand_back=partial(_hand_back, worker),
    )


async def _claim(worker: WorkerContext, job_id: str) -> OpenAttempt | None:
    await enqueueing.remove_job(worker.process.queue, job_id, queue_name=CHECKS_QUEUE)
    claim = partial(verification_lifecycle.claim, owner=new_owner())
    return await in_transaction(worker.process.sessions, claim)


async def _perform(worker: WorkerContext, claimed: OpenAttempt, lost: asyncio.Event) -> None:
    structlog.contextvars.bind_contextvars(attempt=claimed.attempt)
    traceparent, run_id = claimed.traceparent, claimed.run_id
    with span("verification", parent=traceparent, run_id=run_id, attempt=claimed.attempt) as attempt:
        if (conclusion := await verification_executor.perform(worker, claimed, lost)) is not None:
            attempt.set(verdict=str(conclusion.shown["verdict"]))
            await _conclude(worker, claimed, conclusion)


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


async def _hand_back(worker: WorkerContext, claimed: OpenAttempt) -> None:
    queue = worker.process.queue

    async def step(session: AsyncSession) -> None:
        if await verification_lifecycle.hand_back(session, claimed):
            enqueueing.enqueue_verification_after_commit(session, queue, claimed.run_id, claimed.attempt)

    await in_transaction(worker.process.sessions, step)
