"""The arq worker: its jobs, their limits, and the start and stop of the process."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.cron import cron
from arq.worker import Worker, func
from prometheus_client import start_http_server
from redis.exceptions import RedisError

from app.addresses import AddressPolicy
from app.agents.git.mirrors import Mirrors
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.agents.session.run_clock import MAX_WAITING
from app.agents.workspace.folders import reclaim
from app.clients.github.client import GitHubClient
from app.clients.guarded_http import create_guarded_client
from app.clients.http_client import create_http_client
from app.clients.queue import CHORES_QUEUE, QUEUE_NAME, decode_job, encode_job
from app.clients.redis import create_pool
from app.clients.run_changes import RunChanges
from app.config import Settings
from app.runtime import open_process
from app.services.code_hosts.credentials import CodeHosts
from app.services.enqueueing import DELIVER_NOTIFICATIONS, EXECUTE_RUN
from app.services.retrying.policies import LOOP_SECONDS
from app.services.runs import lifecycle as run_lifecycle
from app.services.schema_revision import require_current_schema
from app.services.shared_clock import keep_synchronised
from app.worker.context import WorkerContext
from app.worker.jobs.deliver_notifications import deliver_notifications
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.fetch_receipts import fetch_receipts
from app.worker.jobs.fold_counts import fold_counts
from app.worker.jobs.recover_runs import recover_runs
from app.worker.jobs.sweep_artifacts import sweep_artifacts
from app.worker.jobs.sweep_events import sweep_events
from app.worker.jobs.sweep_rows import sweep_keys_and_ids, sweep_presence_and_notifications
from app.worker.loops.pushes import deliver_as_due
from app.worker.loops.supervision import keep_running
from app.worker.loops.webhooks import WebhookDeliverer
from app.worker.polling import ResilientWorker, RunWorker
from app.worker.slots import RunSlots

# Above the run's own limit, so that the job ends the run first and can report the reason.
_JOB_MARGIN_SECONDS = 300
_SWEEP_SECONDS = {0, 10, 20, 30, 40, 50}
# Not at the full hour, when other systems run their jobs.
_HOURLY = 17
_LONG_SWEEP_SECONDS = 1800
_CHORES_AT_A_TIME = 10
_CHORE_SECONDS = 300
# Longer than a request to a push service and its settlement take, unless the database is unavailable. Work that takes
# longer is cancelled; its pushes become due again when their leases expire.
_CHORES_DRAIN_SECONDS = 20

log = structlog.get_logger(__name__)


def create_worker(context: WorkerContext, *, burst: bool = False, handle_signals: bool = True) -> Worker:
    """Return the worker of this process; `burst` ends it when the queue is empty."""
    settings = context.process.settings
    worker = RunWorker(
        changes=context.changes,
        withdrawn=EXECUTE_RUN,
        slots=context.slots,
        functions=[
            func(
                execute_run,
                name=EXECUTE_RUN,
                timeout=settings.run_timeout_seconds
                + MAX_WAITING.total_seconds()
                + settings.worker_store_wait_seconds
                + _JOB_MARGIN_SECONDS,
            )
        ],
        cron_jobs=[
            cron(recover_runs, second=_SWEEP_SECONDS, unique=True, timeout=60),
            # Also at the start, since it writes the bucket's rules.
            cron(
                sweep_artifacts, minute=_HOURLY, unique=True, run_at_startup=True, timeout=_LONG_SWEEP_SECONDS
            ),
        ],
        redis_pool=_queue_pool(settings, QUEUE_NAME),
        queue_name=QUEUE_NAME,
        job_serializer=encode_job,
        job_deserializer=decode_job,
        max_jobs=settings.worker_concurrency,
        job_completion_wait=settings.worker_drain_seconds,
        # The run's row counts the attempts; arq must not limit them.
        max_tries=1_000_000,
        keep_result=0,
        log_results=False,
        burst=burst,
        handle_signals=handle_signals,
        ctx=context.as_arq_context(),
    )
    # How long arq keeps other workers from a started job. From the claim on, the lease on the row does that. If a
    # worker dies before the claim, its job must not be blocked for the length of a run.
    worker.in_progress_timeout_s = run_lifecycle.RUN_LEASE.total_seconds()
    return worker


def create_chores_worker(context: WorkerContext, *, burst: bool = False) -> Worker:
    """Return the worker of short jobs. It runs beside the worker of runs, so that no run delays a push."""
    return ResilientWorker(
        changes=context.changes,
        functions=[func(deliver_notifications, name=DELIVER_NOTIFICATIONS, timeout=_CHORE_SECONDS)],
        cron_jobs=[
            # Most pushes have a job when they become due; this finds the others, after a crash or a delay.
            cron(
                deliver_notifications,
                second=_SWEEP_SECONDS,
                unique=True,
                run_at_startup=True,
                timeout=_CHORE_SECONDS,
            ),
            cron(fetch_receipts, second=5, unique=True, timeout=_CHORE_SECONDS),
            cron(sweep_presence_and_notifications, second=25, unique=True, timeout=_CHORE_SECONDS),
            # Also at the start, since a restored database has events to adopt.
            cron(sweep_events, minute=_HOURLY, unique=True, run_at_startup=True, timeout=_CHORE_SECONDS),
            cron(sweep_keys_and_ids, minute=_HOURLY, unique=True, timeout=_CHORE_SECONDS),
            cron(fold_counts, second=_SWEEP_SECONDS, unique=True, timeout=_CHORE_SECONDS),
        ],
        redis_pool=_queue_pool(context.process.settings, CHORES_QUEUE),
        queue_name=CHORES_QUEUE,
        job_serializer=encode_job,
        job_deserializer=decode_job,
        max_jobs=_CHORES_AT_A_TIME,
        # The next worker repeats a chore that a stopping worker has cancelled.
        max_tries=1_000_000,
        keep_result=0,
        log_results=False,
        burst=burst,
        handle_signals=False,
        ctx=context.as_arq_context(),
    )


def _queue_pool(settings: Settings, queue_name: str) -> ArqRedis:
    return ArqRedis(
        connection_pool=create_pool(settings.redis_url),
        job_serializer=encode_job,
        job_deserializer=decode_job,
        default_queue_name=queue_name,
    )


@asynccontextmanager
async def _chores(context: WorkerContext) -> AsyncGenerator[None, None]:
    """Perform short jobs during the block, which also covers the time in which the last runs finish."""
    worker = create_chores_worker(context)
    working = asyncio.create_task(worker.async_run())
    working.add_done_callback(_report_failure)
    try:
        yield
    finally:
        log.info("worker.chores_stopping")
        try:
            # Cancelled jobs start no more requests, and finish the requests under way.
            async with asyncio.timeout(_CHORES_DRAIN_SECONDS):
                await worker.close()
        except TimeoutError:
            log.warning("worker.chores_broken_off")
        await asyncio.gather(working, return_exceptions=True)


def _report_failure(working: asyncio.Task[None]) -> None:
    if not working.cancelled() and (error := working.exception()) is not None:
        log.error("worker.chores_failed", exc_info=error)


async def _run(settings: Settings) -> None:
    async with (
        open_process(settings, name="worker") as process,
        keep_synchronised(process.sessions),
        create_http_client() as http,
        create_guarded_client(AddressPolicy.parse(settings.webhook_allow_private_networks)) as webhook_http,
    ):
        await require_current_schema(process.sessions)
        context = WorkerContext(
            process=process,
            sandbox=await probe(_policy(settings)),
            changes=RunChanges(process.redis),
            environment=dict(os.environ),
            code_hosts=CodeHosts(GitHubClient(http), process.cipher),
            mirrors=_mirrors(settings),
            slots=RunSlots(settings.worker_waiting_runs),
        )
        if removed := await reclaim(settings.workspaces_path):
            log.info("worker.workspaces_reclaimed", count=removed)
        await _wait_for_redis(process.redis)
        if settings.worker_metrics_port:
            start_http_server(settings.worker_metrics_port)
        worker = create_worker(context)
        deliver_webhooks = partial(WebhookDeliverer(process, webhook_http).run, context.changes)
        push = partial(deliver_as_due, process, context.push_lanes)
        listening = asyncio.create_task(keep_running("run changes", context.changes.listen))
        delivering = asyncio.create_task(keep_running("webhooks", deliver_webhooks))
        pushing = asyncio.create_task(keep_running("pushes", push))
        log.info("worker.started", concurrency=settings.worker_concurrency)
        try:
            async with _chores(context):
                await worker.async_run()
        except asyncio.CancelledError:
            log.info("worker.stopping")
        finally:
            # The deliverer starts no more attempts; those under way finish while the runs do.
            delivering.cancel()
            pushing.cancel()
            await worker.close()
            listening.cancel()
            await asyncio.gather(listening, delivering, pushing, return_exceptions=True)
    log.info("worker.stopped")


def _policy(settings: Settings) -> SandboxPolicy:
    return SandboxPolicy(
        kind=settings.agent_sandbox,
        memory_bytes=settings.agent_memory_mb * 1024 * 1024,
        processes=settings.agent_processes,
        disk_bytes=settings.agent_disk_mb * 1024 * 1024,
    )


def _mirrors(settings: Settings) -> Mirrors | None:
    if settings.git_mirrors_max_mb == 0:
        return None
    limit = settings.git_mirrors_max_mb * 1024 * 1024
    return Mirrors(settings.mirrors_path, os.environ, max_bytes=limit)


async def _wait_for_redis(redis: Any) -> None:
    while True:
        try:
            await redis.ping()
        except (RedisError, OSError) as error:
            log.warning("worker.redis_unavailable", error=repr(error))
            await asyncio.sleep(LOOP_SECONDS)
        else:
            return


def run_worker(settings: Settings) -> None:
    """Perform jobs until SIGTERM or SIGINT; runs in progress may finish within the drain limit.

    Uses Python's own event loop, which starts programs by `vfork` (app/processes/spawning.py). The folder of workspaces
    must exist. Raises SandboxUnavailable.
    """
    asyncio.run(_run(settings))
