"""A loop that sends pushes which fall due without a job while the worker runs."""

import asyncio
from typing import Never

import structlog

from app.db import unit_of_work
from app.outages import DatabaseUnavailable
from app.runtime import ProcessContext
from app.services.notifications import claims
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
