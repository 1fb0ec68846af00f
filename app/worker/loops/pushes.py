"""Loops that send pushes which fall due without a job, and release those of quiet hours, while the worker runs.

They run side by side: a release that fails, or takes long because many people's quiet hours end at once, delays no
other push.
"""

import asyncio
from functools import partial
from typing import Never

import structlog

from app.db import unit_of_work
from app.outages import DatabaseUnavailable
from app.periodic import every
from app.runtime import ProcessContext
from app.services.notifications import claims, digests
from app.services.retrying.policies import LOOP_SECONDS
from app.worker.jobs.deliver_notifications import deliver_due

# The longest delay of a deferred push after it falls due.
_LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def deliver_as_due(process: ProcessContext, lanes: asyncio.Semaphore) -> Never:
    """Every second until cancelled, look for push notifications that are due, such as deferred ones, and send them.

    `lanes` limits how many batches of claimed pushes this process handles at once.
    """
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            async with unit_of_work(process.sessions) as session:
                is_due = await claims.is_due(session)
            if is_due:
                await deliver_due(process, lanes)
        except DatabaseUnavailable as error:
            log.warning("push.database_unavailable", error=repr(error))
            await asyncio.sleep(LOOP_SECONDS)


async def release_as_due(process: ProcessContext) -> None:
    """Every second until cancelled, release all notices that quiet hours held until now."""
    await every(_LOOK_SECONDS, partial(release_held, process), event="push.digests_not_released")


async def release_held(process: ProcessContext) -> None:
    """Release all notices that quiet hours held until now, as pushes that are due."""
    is_last = False
    while not is_last:
        async with unit_of_work(process.sessions) as session:
            is_last = await digests.release_held(session) == 0
