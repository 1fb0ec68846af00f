"""The chore that folds the counts of lists. Several workers may do it at once."""

from collections.abc import Mapping

from app.db import unit_of_work
from app.services.tasks import count_folding
from app.worker.worker_context import worker_context


async def fold_counts(ctx: Mapping[str, object]) -> None:
    for counts in (count_folding.TASK_COUNTS, count_folding.QUESTION_COUNTS):
        rows = count_folding.FOLDED_AT_ONCE
        # Rows written meanwhile are left for the next time, since writing never stops.
        while rows >= count_folding.FOLDED_AT_ONCE:
            async with unit_of_work(worker_context(ctx).process.sessions) as session:
                rows = await count_folding.fold_counts(session, counts)
