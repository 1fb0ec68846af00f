"""The job that performs a run: claim, perform, end. No session is open while the agent works.

A job first removes itself from the queue: a run that is requested while its job is ending gets a new one. If this
worker dies, the sweep enqueues the run again from its row.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from app.clock import utcnow
from app.services.enqueueing import enqueue_next_run, remove_run_job
from app.services.runs import run_lifecycle
from app.services.runs.queue import Claim
from app.shielded import shielded
from app.worker.run.claim import claim_run, hand_back
from app.worker.run.lease import LeaseLost, hold_lease
from app.worker.run.outcome import end_run
from app.worker.run.run_stages import perform_run
from app.worker.worker_context import WorkerContext, worker_context

log = structlog.get_logger(__name__)


async def execute_run(ctx: Mapping[str, Any], *, run_id: str) -> None:
    """Claim and perform the next run, which may be another one than `run_id`; store how it ended.

    If the worker is stopped, the run goes back to the queue. If the worker loses its claim on the run, it ends the
    agent and drops the agent's work, unless the run was cancelled: the work of a cancelled run is stored.
    """
    worker = worker_context(ctx)
    process = worker.process
    since = utcnow()
    # A task of its own, which a stop does not cancel: cut off after its commit, a claim would last for all its lease.
    claiming = asyncio.create_task(_claim(worker, UUID(run_id)))
    try:
        claim = await asyncio.shield(claiming)
        if claim is None:
            log.info("run.not_claimed", asked_for=run_id)
            return
        structlog.contextvars.bind_contextvars(run_id=str(claim.run_id))
        await _perform(worker, claim, since)
    except asyncio.CancelledError:
        await shielded(_hand_back(worker, claiming))
        raise
    if process.settings.project_concurrency:
        # A run that waited because of the limit has no job any more.
        await enqueue_next_run(process.queue)


async def _claim(worker: WorkerContext, run_id: UUID) -> Claim | None:
    # Concurrently: every waiting run has a job, so it is harmless if this one leaves the queue late.
    _, claim = await asyncio.gather(remove_run_job(worker.process.queue, run_id), claim_run(worker))
    return claim


async def _perform(worker: WorkerContext, claim: Claim, since: datetime) -> None:
    sessions = worker.process.sessions
    try:
        extend = partial(run_lifecycle.extend_lease, run_id=claim.run_id, owner=claim.owner)
        async with hold_lease(sessions, worker.changes, claim.run_id, extend, since=since) as lost:
            await end_run(worker, claim, await perform_run(worker, claim, lost))
    except LeaseLost:
        log.warning("run.lease_lost")


async def _hand_back(worker: WorkerContext, claiming: asyncio.Task[Claim | None]) -> None:
    if (claim := await claiming) is not None:
        await hand_back(worker, claim)
