"""The chore that adds up the rows of counts (ADR 30). Several workers may do it at once."""

from collections.abc import Mapping
from typing import Any

from app.db import unit_of_work
from app.services import count_folding
from app.services.count_folding import FOLDED_AT_ONCE, QUESTION_COUNTS, TASK_COUNTS
from app.worker.worker_context import worker_context


async def fold_counts(ctx: Mapping[str, Any]) -> None:
    for counts in (TASK_COUNTS, QUESTION_COUNTS):
        rows = FOLDED_AT_ONCE
        # Rows written meanwhile are left for the next time, since writing never stops.
        while rows >= FOLDED_AT_ONCE:
            async with unit_of_work(worker_context(ctx).process.sessions) as session:
                rows = await count_folding.fold_counts(session, counts)
