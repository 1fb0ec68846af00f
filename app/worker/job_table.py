"""The table of a worker's jobs: their queues, start times and time limits; and the arq workers for them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from arq.connections import ArqRedis
from arq.cron import CronJob, cron
from arq.worker import Function, func

from app.agents.session.run_clock import MAX_WAITING
from app.clients.job_queue import CHECKS_QUEUE, CHORES_QUEUE, QUEUE_NAME, SCANS_QUEUE, decode_job, encode_job
from app.clients.redis import create_pool
from app.services.enqueueing import EXECUTE_RUN, SCAN_REPOSITORY, VERIFY_RUN
from app.services.retrying.policies import RUN_LEASE
from app.tracing.spans import traced
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.fetch_receipts import fetch_receipts
from app.worker.jobs.fold_counts import fold_counts
from app.worker.jobs.recover_runs import recover_runs
from app.worker.jobs.scan_repository import scan_repository
from app.worker.jobs.start_scheduled import start_scheduled
from app.worker.jobs.sweep_artifacts import sweep_artifacts
from app.worker.jobs.sweep_rows import sweep_rows
from app.worker.jobs.verify_run import verify_run
from app.worker.resilient_worker import ResilientWorker, RunWorker
from app.worker.slots import RunSlots
from app.worker.worker_context import WorkerContext

# Added to the time limit of the work, so that the work ends first and its job can report the reason.
_JOB_MARGIN_SECONDS = 300
_EVERY_TEN_SECONDS = {0, 10, 20, 30, 40, 50}
# Not at the full hour, when other systems run their jobs.
_HOURLY = 17
_LONG_SWEEP_SECONDS = 1800
_SCANS_AT_A_TIME = 2
_CHORES_AT_A_TIME = 10
_CHORE_SECONDS = 300
# arq must not limit the attempts: those of a run are counted in its row, and a chore that a stopping worker has
# cancelled is repeated by another worker.
_UNLIMITED_TRIES = 1_000_000


def _chores() -> Iterator[CronJob]:
    # `unique`: one worker performs a tick. A chore that outlasts its interval overlaps with the next tick, perhaps on
    # another worker.
    def every(chore: Any, *, timeout: int = _CHORE_SECONDS, **times: Any) -> CronJob:
        return cron(traced(f"chore.{chore.__name__}")(chore), unique=True, timeout=timeout, **times)

    hourly = partial(every, minute=_HOURLY, second=0)
    yield every(recover_runs, second=_EVERY_TEN_SECONDS, timeout=60)
    yield every(start_scheduled, second=set(range(0, 60, 5)))
    # These also run at the start: one writes the bucket's rules, the other adopts the events of a restored database.
    yield hourly(sweep_artifacts, run_at_startup=True, timeout=_LONG_SWEEP_SECONDS)
    yield hourly(sweep_rows, run_at_startup=True, timeout=_LONG_SWEEP_SECONDS)
    yield every(fetch_receipts, second=5)
    yield every(fold_counts, second=_EVERY_TEN_SECONDS)


def create_worker(context: WorkerContext, *, burst: bool = False, handle_signals: bool = True) -> RunWorker:
    """Return the arq worker that performs runs and nothing else: any other job could wait hours for a slot."""
    settings = context.process.settings
    run_seconds = (
        settings.run_timeout_seconds + MAX_WAITING.total_seconds() + settings.worker_store_wait_seconds
    )
    return _leasing(
        func(execute_run, name=EXECUTE_RUN, timeout=run_seconds + _JOB_MARGIN_SECONDS),
        slots=context.slots,
        max_jobs=settings.worker_concurrency,
        job_completion_wait=settings.worker_drain_seconds,
        burst=burst,
        **_options(context, QUEUE_NAME) | {"handle_signals": handle_signals},
    )


def create_checks_worker(context: WorkerContext, *, burst: bool = False) -> ResilientWorker:
    """Return the arq worker that checks what runs deliver, in its own slots."""
    settings = context.process.settings
    seconds = settings.verification_timeout_seconds + settings.worker_store_wait_seconds
    return _leasing(
        func(verify_run, name=VERIFY_RUN, timeout=seconds + _JOB_MARGIN_SECONDS),
        slots=RunSlots(0),
        max_jobs=settings.check_slots,
        burst=burst,
        **_options(context, CHECKS_QUEUE),
    )


def _leasing(job: Function, **options: Any) -> RunWorker:
    worker = RunWorker(functions=[job], self_removing=job.name, **options)
    # For how long arq keeps other workers from a started job. After the claim, the lease on the row does that. If a
    # worker dies before the claim, its job must not be blocked for the time limit of a run.
    worker.in_progress_timeout_s = RUN_LEASE.total_seconds()
    return worker


def create_scans_worker(context: WorkerContext) -> ResilientWorker:
    """Return the arq worker that scans repositories; no other worker repeats a scan before its time limit."""
    seconds = context.run_times.scan + _JOB_MARGIN_SECONDS
    return ResilientWorker(
        functions=[func(traced("scan")(scan_repository), name=SCAN_REPOSITORY, timeout=seconds)],
        max_jobs=_SCANS_AT_A_TIME,
        **_options(context, SCANS_QUEUE),
    )


def create_chores_worker(context: WorkerContext) -> ResilientWorker:
    """Return the arq worker for all other jobs, which no run delays: receipts, sweeps, and the recovery of runs."""
    return ResilientWorker(
        cron_jobs=list(_chores()),
        max_jobs=_CHORES_AT_A_TIME,
        **_options(context, CHORES_QUEUE),
    )


def _options(context: WorkerContext, queue: str) -> dict[str, Any]:
    return {
        "changes": context.changes,
        "handle_signals": False,
        "redis_pool": ArqRedis(
            connection_pool=create_pool(context.process.settings.redis_url),
            job_serializer=encode_job,
            job_deserializer=decode_job,
            default_queue_name=queue,
        ),
        "queue_name": queue,
        "job_serializer": encode_job,
        "job_deserializer": decode_job,
        "max_tries": _UNLIMITED_TRIES,
        "keep_result": 0,
        "log_results": False,
        "ctx": context.as_arq_context(),
    }
