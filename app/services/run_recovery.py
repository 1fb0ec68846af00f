"""What the sweeper does so that no run is ever stuck: the queued row is the outbox of its job.

A run whose job was lost (Redis away or emptied, a crash between commit and enqueue) is queued again; a run whose
worker went silent is repeated or failed. Safe to call from any number of workers at any time.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import Select

from app.clients.queue import JobQueue
from app.clients.run_events import RunEvents
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.services.jobs import enqueue_run, request_delivery
from app.services.run_lifecycle import recover_lapsed
from app.services.run_queue import startable

__all__ = ["recover_runs"]

# A healthy job is picked up long before; asking again for one that is only waiting changes nothing.
_GRACE = timedelta(seconds=15)
_BATCH = 1000

log = structlog.get_logger(__name__)


async def recover_runs(
    sessions: SessionFactory, queue: JobQueue, *, events: RunEvents, limit: int = 0
) -> int:
    """Bring every run back to life that needs it; return how many jobs were missing.

    A run that waits because workers perform `limit` runs of its project already is left waiting.
    """
    async with unit_of_work(sessions) as session:
        requeued, failed = await recover_lapsed(session, events=events)
        for run_id in failed:
            request_delivery(session, queue, run_id)
        waiting: list[UUID] = list(await session.scalars(_forgotten(limit)))
    if requeued or failed:
        log.warning("run.lease_lapsed", requeued=len(requeued), failed=len(failed))
    missing = 0
    for run_id in dict.fromkeys([*requeued, *waiting]):
        missing += await enqueue_run(queue, run_id)
    if missing:
        log.info("run.jobs_restored", count=missing)
    return missing


def _forgotten(limit: int) -> Select[UUID]:
    return startable(limit, asked_before=utcnow() - _GRACE).limit(_BATCH)
