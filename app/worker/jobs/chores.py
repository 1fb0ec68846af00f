"""The chores of a worker: recovery of runs, receipts of pushes, and sweeps. Several workers may do one at once."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.push import PushUnavailable
from app.clients.s3 import ObjectStoreUnavailable
from app.db import unit_of_work
from app.periodic import attempt
from app.runtime import ProcessContext
from app.services import count_folding
from app.services.accounts.console_sessions import sweep_sessions
from app.services.artifacts import sweep
from app.services.code_hosts.github_webhook import sweep_deliveries
from app.services.code_hosts.verdict_reports import report_due
from app.services.count_folding import FOLDED_AT_ONCE, QUESTION_COUNTS, TASK_COUNTS
from app.services.events.sweep import adopt_events, prune_events
from app.services.idempotency import sweep_keys
from app.services.notifications import receipts
from app.services.notifications.presence import sweep_expired
from app.services.run_log.writing import sweep_event_ids
from app.services.runs import recovery
from app.services.runs.credentials import sweep_tokens
from app.services.runs.start import start_scheduled_runs
from app.services.sweeping import until_none_is_left
from app.services.verification.kept_bases import sweep_bases
from app.services.webhook_endpoints.deliveries import prune_deliveries
from app.services.webhook_endpoints.disabling import disable_orphaned
from app.shielded import shielded
from app.worker.context import worker_context

_Sweep = Callable[[AsyncSession], Awaitable[int]]

log = structlog.get_logger(__name__)


async def recover_runs(ctx: Mapping[str, Any]) -> None:
    """Find runs that no worker or agent continues, and enqueue or end them.

    These are waiting runs without a job in the queue, runs with an expired lease, and runs of outside agents that
    send nothing. A stopped worker completes it within its drain: no later sweep would write to the logs of the runs
    that this one has failed.
    """
    process = worker_context(ctx).process
    limit, silence = process.settings.project_concurrency, process.settings.outside_agent_silence
    await shielded(recovery.recover_runs(process, limit=limit, silence=silence))


async def start_scheduled(ctx: Mapping[str, Any]) -> None:
    if count := await start_scheduled_runs(worker_context(ctx).process):
        log.info("run.scheduled_started", count=count)


async def sweep_artifacts(ctx: Mapping[str, Any]) -> None:
    process = worker_context(ctx).process
    await sweep.write_lifecycle(process.store)
    try:
        await sweep.sweep_artifacts(process.sessions, process.store, dry_run=False)
    except ObjectStoreUnavailable as error:
        log.warning("artifacts.not_swept", error=repr(error))


async def fetch_receipts(ctx: Mapping[str, Any]) -> None:
    await fetch_due(worker_context(ctx).process)


async def fetch_due(process: ProcessContext) -> int:
    """Fetch and store the due receipts of Expo, unless it is unavailable; return how many were asked for."""
    asked = 0
    while True:
        async with unit_of_work(process.sessions) as session:
            tickets = await receipts.claim_receipts(session)
        if not tickets:
            return asked
        try:
            answers = await process.push().receipts.receipts([ticket.ticket_id for ticket in tickets])
        except PushUnavailable as error:
            log.warning("push.receipts_unavailable", reason=error.reason, tickets=len(tickets))
            return asked
        async with unit_of_work(process.sessions) as session:
            await receipts.settle_receipts(session, tickets, answers)
        asked += len(tickets)


async def report_verdicts(ctx: Mapping[str, Any]) -> None:
    """Put the verdicts that are due on the pull requests and commits of their runs."""
    worker = worker_context(ctx)
    while await report_due(worker.process.sessions, worker.code_hosts, worker.process.settings):
        pass


async def fold_counts(ctx: Mapping[str, Any]) -> None:
    for counts in (TASK_COUNTS, QUESTION_COUNTS):
        rows = FOLDED_AT_ONCE
        # Rows written meanwhile are left for the next time, since writing never stops.
        while rows >= FOLDED_AT_ONCE:
            async with unit_of_work(worker_context(ctx).process.sessions) as session:
                rows = await count_folding.fold_counts(session, counts)


async def sweep_events(ctx: Mapping[str, Any]) -> None:
    """Delete old events and deliveries, and disable webhook endpoints of users who have left.

    If the database was restored from a backup, its events first move to a position before all new ones.
    """
    process = worker_context(ctx).process
    kept = timedelta(days=process.settings.event_retention_days)
    await _sweep(
        adopted=partial(adopt_events, process.sessions),
        events=partial(prune_events, process.sessions, kept),
        deliveries=partial(prune_deliveries, process.sessions, kept),
        endpoints=partial(until_none_is_left, process.sessions, disable_orphaned),
    )


async def sweep_presence_and_notifications(ctx: Mapping[str, Any]) -> None:
    """Delete old notifications, and the expired rows of presence, which say which task a device shows."""
    await _sweep_tables(ctx, presence=sweep_expired, notifications=receipts.sweep_history)


async def sweep_keys_and_ids(ctx: Mapping[str, Any]) -> None:
    """Delete unused tokens of runs, expired keys and sessions, old ids of events and webhooks, and kept bases."""
    await _sweep_tables(
        ctx,
        run_credentials=sweep_tokens,
        github_deliveries=sweep_deliveries,
        run_event_ids=sweep_event_ids,
        idempotency_keys=sweep_keys,
        console_sessions=sweep_sessions,
        kept_bases=partial(sweep_bases, days=worker_context(ctx).process.settings.check_base_days),
    )


async def _sweep_tables(ctx: Mapping[str, Any], **tables: _Sweep) -> None:
    sessions = worker_context(ctx).process.sessions
    await _sweep(**{table: partial(until_none_is_left, sessions, sweep) for table, sweep in tables.items()})


async def _sweep(**steps: Callable[[], Awaitable[int]]) -> None:
    for rows, step in steps.items():
        await attempt(partial(_perform, rows, step), event="rows.not_swept")


async def _perform(rows: str, step: Callable[[], Awaitable[int]]) -> None:
    if count := await step():
        log.info("rows.swept", rows=rows, count=count)
