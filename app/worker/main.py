"""The arq worker: which jobs there are, their limits, and how the process starts and stops."""

import asyncio
import os
from typing import Any

import structlog
import uvloop
from arq.connections import ArqRedis
from arq.cron import cron
from arq.worker import Worker, func
from redis.exceptions import RedisError
from typing_extensions import override

from app.agents.confinement import SandboxPolicy
from app.agents.sandbox import probe
from app.agents.workspace import reclaim
from app.clients.queue import QUEUE_NAME, decode_job, encode_job
from app.clients.redis import create_pool
from app.config import Settings
from app.services import run_lifecycle
from app.services.jobs import EXECUTE_RUN
from app.services.process import open_process
from app.services.schema import require_current_schema
from app.worker.context import WorkerContext
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.recover_runs import recover_runs
from app.worker.jobs.sweep_artifacts import sweep_artifacts

__all__ = ["ResilientWorker", "create_worker", "run_worker"]

# Above the run's own limit, so that the job ends it first and can say why.
_JOB_MARGIN_SECONDS = 300
_SWEEP_SECONDS = {0, 10, 20, 30, 40, 50}
# Not at the full hour, when everybody's jobs run.
_HOURLY = 17
_LONG_SWEEP_SECONDS = 1800
_OUTAGE_PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class ResilientWorker(Worker):
    """An arq worker that outlives an outage of Redis: its agents go on, and polling resumes when Redis is back."""

    @override
    async def _poll_iteration(self) -> None:
        try:
            await super()._poll_iteration()
        except (RedisError, OSError) as error:
            log.warning("worker.redis_unavailable", error=repr(error))
            await asyncio.sleep(_OUTAGE_PAUSE_SECONDS)


def create_worker(context: WorkerContext, *, burst: bool = False, handle_signals: bool = True) -> Worker:
    """Return the worker of this process; `burst` ends it when the queue is empty."""
    settings = context.process.settings
    worker = ResilientWorker(
        functions=[
            func(
                execute_run,
                name=EXECUTE_RUN,
                timeout=settings.run_timeout_seconds + _JOB_MARGIN_SECONDS,
            )
        ],
        cron_jobs=[
            cron(recover_runs, second=_SWEEP_SECONDS, unique=True, timeout=60),
            # Also at the start: the bucket's rules are written by it.
            cron(
                sweep_artifacts, minute=_HOURLY, unique=True, run_at_startup=True, timeout=_LONG_SWEEP_SECONDS
            ),
        ],
        redis_pool=ArqRedis(
            connection_pool=create_pool(settings.redis_url),
            job_serializer=encode_job,
            job_deserializer=decode_job,
            default_queue_name=QUEUE_NAME,
        ),
        queue_name=QUEUE_NAME,
        job_serializer=encode_job,
        job_deserializer=decode_job,
        max_jobs=settings.worker_concurrency,
        job_completion_wait=settings.worker_drain_seconds,
        # Tries are counted on the run's row; arq must neither give up nor remember.
        max_tries=1_000_000,
        keep_result=0,
        log_results=False,
        burst=burst,
        handle_signals=handle_signals,
        ctx=context.as_arq_context(),
    )
    # How long arq keeps others away from a job it has begun. The lease on the row does that from the claim on; a
    # worker that dies between the two must not hold the job back for the length of a run.
    worker.in_progress_timeout_s = run_lifecycle.LEASE.total_seconds()
    return worker


async def _run(settings: Settings) -> None:
    settings.workspaces_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with open_process(settings, name="worker") as process:
        await require_current_schema(process.sessions)
        context = WorkerContext(
            process=process, sandbox=await probe(_policy(settings)), environment=dict(os.environ)
        )
        if removed := await reclaim(settings.workspaces_path):
            log.info("worker.workspaces_reclaimed", count=removed)
        await _wait_for_redis(process.redis)
        worker = create_worker(context)
        log.info("worker.started", concurrency=settings.worker_concurrency)
        try:
            await worker.async_run()
        except asyncio.CancelledError:
            log.info("worker.stopping")
        finally:
            await worker.close()
    log.info("worker.stopped")


def _policy(settings: Settings) -> SandboxPolicy:
    return SandboxPolicy(
        kind=settings.agent_sandbox,
        network=settings.agent_network,
        memory_bytes=settings.agent_memory_mb * 1024 * 1024,
    )


async def _wait_for_redis(redis: Any) -> None:
    while True:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            log.warning("worker.redis_unavailable", error=repr(error))
            await asyncio.sleep(_OUTAGE_PAUSE_SECONDS)
        else:
            return


def run_worker(settings: Settings) -> None:
    """Perform jobs until SIGTERM or SIGINT; runs in progress may finish within the drain limit."""
    uvloop.run(_run(settings))
