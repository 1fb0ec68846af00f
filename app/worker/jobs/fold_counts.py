"""Add up the rows of the tables that count tasks and open questions, so that these tables stay small."""

from collections.abc import Mapping
from typing import Any

from app.db import unit_of_work
from app.services.questions import counts as question_counts
from app.services.tasks import counts as task_counts
from app.worker.context import worker_context


async def fold_counts(ctx: Mapping[str, Any]) -> None:
    """Add up the count rows written since the last time, a bounded number in each transaction."""
    for counts in (task_counts, question_counts):
        rows = counts.FOLDED_AT_ONCE
        # Rows written meanwhile are left for the next time, since writing never stops.
        while rows >= counts.FOLDED_AT_ONCE:
            async with unit_of_work(worker_context(ctx).process.sessions) as session:
                rows = await counts.fold_counts(session)
