"""The short chores that move something on. Several workers may do one at once."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services import count_folding
from app.services.code_hosts.verdict_reports import report_due
from app.services.count_folding import FOLDED_AT_ONCE, QUESTION_COUNTS, TASK_COUNTS
from app.services.runs.start import start_scheduled_runs
from app.worker.worker_context import worker_context

log = structlog.get_logger(__name__)


async def start_scheduled(ctx: Mapping[str, Any]) -> None:
    if count := await start_scheduled_runs(worker_context(ctx).process):
        log.info("run.scheduled_started", count=count)


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
