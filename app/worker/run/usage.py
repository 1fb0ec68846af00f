"""Records the tokens and money of a run, every few seconds while its agent works and once when it has ended.

If the runs of a task share a budget, the usage of the other runs is read at the same interval. They may run
at the same time on other workers, and each must notice when all of them together have used up the budget.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from app.agents.session.usage import UsageMeter
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.services.runs.usage import note_usage, spent_by_others
from app.worker.run.claim import Claim

_PAUSE_SECONDS = 3.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def record_usage(
    sessions: SessionFactory, claim: Claim, meter: UsageMeter, *, is_shared: bool
) -> AsyncGenerator[None, None]:
    """Store the usage of a run every few seconds during the block, and once at its end. An outage only delays this.

    Args:
        sessions: opens database sessions.
        claim: the claimed run.
        meter: counts the usage.
        is_shared: whether the runs of the task share a budget. The usage of the others is then read into the meter.

    """
    noted = meter.report()

    async def note() -> None:
        nonlocal noted
        report = meter.report()
        if report is None or report == noted:
            return
        try:
            async with unit_of_work(sessions) as session:
                await note_usage(session, claim.run_id, report, owner=claim.owner)
        except DatabaseUnavailable as error:
            log.warning("usage.not_noted", error=repr(error))
        else:
            noted = report

    async def keep_noting() -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await note()
            if is_shared:
                await _see_others(sessions, claim, meter)

    noting = asyncio.create_task(keep_noting())
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await note()


async def _see_others(sessions: SessionFactory, claim: Claim, meter: UsageMeter) -> None:
    try:
        async with unit_of_work(sessions) as session:
            others = await spent_by_others(session, claim.task_id, claim.run_id)
    except DatabaseUnavailable as error:
        log.warning("usage.of_others_not_read", error=repr(error))
    else:
        meter.see_others(others)
