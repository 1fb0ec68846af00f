"""The job that performs a run: claim, perform, end. No session is open while the agent works.

A job first removes itself from the queue: a run that is requested while its job is ending gets a new one. If this
worker dies, the sweep enqueues the run again from its row.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Unpack
from uuid import UUID

import structlog

from app.agents.errors import AgentError
from app.clock import utcnow
from app.services.enqueueing import RunArguments, enqueue_next_run, remove_job, run_job_id
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import Claim
from app.tracing.spans import record, span
from app.worker.run.lease_and_handback import perform_claimed
from app.worker.run.run_claim import claim_run, hand_back_run
from app.worker.run.run_executor import perform_run
from app.worker.run.run_outcome import end_run
from app.worker.worker_context import WorkerContext, worker_context

log = structlog.get_logger(__name__)


async def execute_run(ctx: Mapping[str, object], **arguments: Unpack[RunArguments]) -> None:
    """Claim and perform the next run, which may be another one than `run_id`; store how it ended.

    If the worker is stopped, the run goes back to the queue. If the worker loses its claim on the run, it ends the
    agent and drops the agent's work, unless the run was cancelled: the work of a cancelled run is stored.
    """
    worker = worker_context(ctx)
    process = worker.process
    if not await perform_claimed(
        worker,
        _claim(worker, UUID(arguments["run_id"])),
        partial(_perform, worker),
        extend=lambda session, claim: run_lifecycle.extend_lease(session, claim.run_id, owner=claim.owner),
        hand_back=partial(hand_back_run, worker),
    ):
        log.info("run.not_claimed", asked_for=arguments["run_id"])
    elif process.settings.project_concurrency:
        # The job of a run that waited because of the limit has ended without a claim.
        await enqueue_next_run(process.queue)


async def _claim(worker: WorkerContext, run_id: UUID) -> Claim | None:
    # Concurrently: every waiting run has a job, so it is harmless if this job leaves the queue after its claim.
    _, claim = await asyncio.gather(remove_job(worker.process.queue, run_job_id(run_id)), claim_run(worker))
    return claim


async def _perform(worker: WorkerContext, claim: Claim, lost: asyncio.Event) -> None:
    traceparent, run_id = claim.traceparent, claim.run_id
    # A run that is performed again has not waited since it was first requested.
    if claim.attempt == 1 and claim.asked_at is not None:
        record("run.queued", claim.asked_at, utcnow(), parent=traceparent, run_id=run_id)
    with span("run", parent=traceparent, run_id=run_id, attempt=claim.attempt) as performed:
        report = await perform_run(worker, claim, lost)
        if isinstance(report.work, AgentError):
            performed.set(error=type(report.work).__name__)
        await end_run(worker, claim, report)
