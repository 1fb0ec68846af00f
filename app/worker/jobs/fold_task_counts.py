"""Cron: keep what lists add up short, however much is written."""

from collections.abc import Mapping
from typing import Any

import structlog

from app.db import unit_of_work
from app.services.tasks.counts import FOLDED_AT_ONCE, fold_counts
from app.worker.context import worker_context

__all__ = ["fold_task_counts"]

log = structlog.get_logger(__name__)


async def fold_task_counts(ctx: Mapping[str, Any]) -> None:
    """Fold what was written since the last time, a bounded number of rows in each transaction."""
    folded = 0
    rows = FOLDED_AT_ONCE
    # What is written meanwhile is left for the next time: there are always writers.
    while rows >= FOLDED_AT_ONCE:
        async with unit_of_work(worker_context(ctx).process.sessions) as session:
            rows = await fold_counts(session)
        folded += rows
    if folded:
        log.debug("task_counts.folded", rows=folded)
