"""The worker process: its start, its loops, and its end (its jobs are in job_table.py)."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog
from prometheus_client import start_http_server

from app.agents.adapters.installation import find_agents
from app.agents.git.mirrors import Mirrors
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.agents.workspace.folders import FolderRemover, reclaim
from app.clients.github.github_client import GitHubClient
from app.clients.http.guarded_http import create_guarded_client
from app.clients.http.http_client import create_http_client
from app.clients.wakes import WakeListener
from app.clients.webhooks.webhook_client import WebhookClient
from app.clients.webhooks.webhook_messages import WebhookSender
from app.config import Settings
from app.coroutines.periodic import attempt, every, repeating
from app.coroutines.shielded import shielded
from app.db.schema_revision import require_current_schema
from app.db.shared_clock import keep_synchronised
from app.ids import new_hex_id
from app.runtime import open_process
from app.security.addresses import AddressPolicy
from app.services.check_sources.check_sets import warn_of_networks
from app.services.code_hosts.host_credentials import CodeHosts
from app.services.code_hosts.verdict_reports import report_due
from app.services.retrying.policies import LOOP_SECONDS
from app.services.runs.queue.worker_reports import REPORT_SECONDS, report_worker, withdraw_report
from app.tracing.standard_variables import tracing
from app.worker.job_table import (
    create_checks_worker,
    create_chores_worker,
    create_scans_worker,
    create_worker,
)
from app.worker.loops.pushes import deliver_as_due, release_as_due
from app.worker.loops.supervision import keep_running
from app.worker.loops.webhooks import WebhookDeliverer
from app.worker.resilient_worker import ResilientWorker, RunWorker
from app.worker.slots import RunSlots
from app.worker.worker_context import WorkerContext

# Longer than a request for receipts and storing them take, unless the database is unavailable. Jobs that take longer
# are broken off; a later job does their work.
_DRAIN_SECONDS = 20
_VERDICT_SECONDS = 10.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def looping(
    context: WorkerContext,
    webhooks: WebhookSender,
    *blocks: AbstractAsyncContextManager[None],
    close_worker: Callable[[], Coroutine[object, None, None]],
) -> AsyncGenerator[None, None]:
    """Run the worker's loops and `blocks` during the block; then close all of them and the worker concurrently.

    So the stop takes as long as the longest of them. Runs and checks still receive changes until they have ended. If
    one of `blocks` fails, the worker ends: the block is cancelled, and an ExceptionGroup raised.
    """
    deliver_webhooks = partial(WebhookDeliverer(context.process, webhooks).run, context.changes)
    deliver_pushes = partial(deliver_as_due, context.process, context.changes)
    report = partial(report_due, context.process.sessions, context.code_hosts, context.process.settings)
    # A loop and not a chore, so that a code host that does not answer occupies no slot that the recovery of runs needs.
    report_verdicts = partial(every, _VERDICT_SECONDS, report, event="verdict_report.not_claimed")
    listening = asyncio.create_task(keep_running("run changes", context.changes.listen))
    try:
        async with asyncio.TaskGroup() as parts:
            beside = [
                parts.create_task(keep_running("webhooks", deliver_webhooks)),
                parts.create_task(keep_running("pushes", deliver_pushes)),
                parts.create_task(keep_running("digests", partial(release_as_due, context.process))),
                parts.create_task(keep_running("verdicts", report_verdicts)),
                *(parts.create_task(_stay_in(block)) for block in blocks),
            ]
            try:
                yield
            finally:
                # Deliveries in progress are finished, and no more begin.
                for task in beside:
                    task.cancel()
                # Shielded, since a part that fails meanwhile cancels this task.
                await shielded(close_worker())
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _stay_in(block: AbstractAsyncContextManager[None]) -> None:
    try:
        async with block:
            await asyncio.Event().wait()
    except Exception:
        # Logged at once, since the worker ends only after its runs.
        log.exception("worker.part_failed")
        raise


@asynccontextmanager
async def working(
    name: str, worker: ResilientWorker, *, pause: float = LOOP_SECONDS
) -> AsyncGenerator[None, None]:
    """Run an arq worker during the block; it is started again if it fails."""
    jobs = asyncio.create_task(keep_running(name, worker.async_run, pause=pause))
    try:
        yield
    finally:
        log.info("worker.stopping", worker=name)
        jobs.cancel()
        try:
            # Cancelled jobs start no more requests, and finish those in progress.
            async with asyncio.timeout(_DRAIN_SECONDS):
                await worker.close()
        except TimeoutError:
            log.warning("worker.broken_off", worker=name)
        await asyncio.gather(jobs, return_exceptions=True)


@asynccontextmanager
async def reporting(context: WorkerContext, worker: RunWorker) -> AsyncGenerator[None, None]:
    """During the block, report the worker's agents and slots, and which networks it cannot enforce."""
    name, process = new_hex_id(), context.process

    async def report() -> None:
        programs = process.settings.agents_path
        found = await asyncio.to_thread(find_agents, process.catalog.adapters, context.environment, programs)
        # A stopping worker takes no more runs.
        slots = process.settings.worker_concurrency if worker.allow_pick_jobs else 0
        warnings = warn_of_networks(process.settings, context.sandbox.kind)
        await report_worker(process.redis, name, {"agents": found, "slots": slots, "warnings": warnings})

    await attempt(report, event="worker.not_reported")
    try:
        async with repeating(REPORT_SECONDS, report, event="worker.not_reported"):
            yield
    finally:
        await attempt(partial(withdraw_report, process.redis, name), event="worker.not_reported")


async def _run(settings: Settings) -> None:
    async with (
        open_process(settings, name="worker") as process,
        keep_synchronised(process.sessions),
        create_http_client() as http,
        create_guarded_client(AddressPolicy.parse(settings.webhook_allow_private_networks)) as webhook_http,
        FolderRemover() as remover,
    ):
        await require_current_schema(process.sessions)
        context = WorkerContext(
            process=process,
            sandbox=await probe(_policy(settings)),
            changes=WakeListener(process.redis, pause=LOOP_SECONDS),
            environment=dict(os.environ),
            code_hosts=CodeHosts(GitHubClient(http), process.cipher),
            mirrors=_mirrors(settings),
            slots=RunSlots(settings.worker_waiting_runs),
            remover=remover,
        )
        if removed := await reclaim(settings.workspaces_path, remover):
            log.info("worker.workspaces_reclaimed", count=removed)
        if settings.worker_metrics_port:
            start_http_server(settings.worker_metrics_port)
        worker = create_worker(context)
        log.info("worker.started", concurrency=settings.worker_concurrency)
        async with looping(
            context,
            WebhookClient(webhook_http),
            working("chores", create_chores_worker(context)),
            working("checks", create_checks_worker(context)),
            working("scans", create_scans_worker(context)),
            close_worker=worker.close,
        ):
            try:
                async with reporting(context, worker):
                    await worker.async_run()
            except asyncio.CancelledError:
                log.info("worker.stopping")
    log.info("worker.stopped")


def _policy(settings: Settings) -> SandboxPolicy:
    return SandboxPolicy(
        kind=settings.agent_sandbox,
        accepts_root=settings.development,
        memory_bytes=settings.agent_memory_mb * 1024 * 1024,
        processes=settings.agent_processes,
        disk_bytes=settings.agent_disk_mb * 1024 * 1024,
    )


def _mirrors(settings: Settings) -> Mirrors | None:
    if settings.git_mirrors_max_mb == 0:
        return None
    limit = settings.git_mirrors_max_mb * 1024 * 1024
    return Mirrors(settings.mirrors_path, os.environ, max_bytes=limit)


def run_worker(settings: Settings) -> None:
    """Run a worker process until SIGTERM or SIGINT; runs in progress may finish within the configured time."""
    # asyncio's own event loop starts programs by `vfork`.
    with tracing("taskbeacon-worker"):
        asyncio.run(_run(settings))
