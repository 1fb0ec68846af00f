"""Records the tokens and money of a run, every few seconds while its agent works and once when it has ended.

If the runs of a task share a budget, the usage of the other runs is read at the same interval. They may run
at the same time on other workers, and each must notice when all of them together have used up the budget.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from app.agents.session.usage import UsageMeter
from app.db import SessionFactory, unit_of_work
from app.periodic import attempt, repeating
from app.services.runs.usage import note_usage, spent_by_others
from app.worker.run.claim import Claim

_PAUSE_SECONDS = 3.0
_NOT_NOTED = "usage.not_noted"


@asynccontextmanager
async def record_usage(
    sessions: SessionFactory, claim: Claim, meter: UsageMeter, *, is_shared: bool
) -> AsyncGenerator[None, None]:
    """Store the usage of a run every few seconds during the block, and once at its end; errors are logged."""
    noted = meter.report()

    async def note() -> None:
        nonlocal noted
        report = meter.report()
        if report is None or report == noted:
            return
        async with unit_of_work(sessions) as session:
            await note_usage(session, claim.run_id, report, owner=claim.owner)
        noted = report

    async def see_others() -> None:
        async with unit_of_work(sessions) as session:
            meter.see_others(await spent_by_others(session, claim.task_id, claim.run_id))

    seeing = repeating(_PAUSE_SECONDS, see_others, event="usage.of_others_not_read")
    try:
        async with repeating(_PAUSE_SECONDS, note, event=_NOT_NOTED), seeing if is_shared else nullcontext():
            yield
    finally:
        await attempt(note, event=_NOT_NOTED)
