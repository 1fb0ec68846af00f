"""The chores of a worker that move something on. Several workers may do one at once."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.clients.push import PushUnavailable
from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services import count_folding
from app.services.code_hosts.verdict_reports import report_due
from app.services.count_folding import FOLDED_AT_ONCE, QUESTION_COUNTS, TASK_COUNTS
from app.services.notifications import receipts
from app.services.runs import recovery
from app.services.runs.start import start_scheduled_runs
from app.shielded import shielded
from app.worker.context import worker_context

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
