"""Keep the counts of tasks short."""

from collections.abc import Mapping
from typing import Any

from app.db import unit_of_work
from app.services.tasks.counts import FOLDED_AT_ONCE, fold_counts
from app.worker.context import worker_context


async def fold_task_counts(ctx: Mapping[str, Any]) -> None:
    """Fold the counts written since the last time, a bounded number of rows in each transaction."""
    rows = FOLDED_AT_ONCE
    # Rows that are written meanwhile are left for the next time: there are always writers.
    while rows >= FOLDED_AT_ONCE:
        async with unit_of_work(worker_context(ctx).process.sessions) as session:
            rows = await fold_counts(session)
