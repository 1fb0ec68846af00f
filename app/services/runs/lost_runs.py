"""Recover runs that lost their job or their worker, so that none is stuck."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from app.clients.s3 import ObjectStoreUnavailable
from app.clock import utcnow
from app.db import unit_of_work
from app.errors import Unavailable
from app.outages import DatabaseUnavailable
from app.services.enqueueing import enqueue_run, enqueue_verification
from app.services.leases import settle_each
from app.services.opened_clients import ServiceClients
from app.services.run_log.log_entries import log_line
from app.services.run_log.log_writing import append_lines
from app.services.runs.command_delivery import receipts_of_lost
from app.services.runs.queue import startable
from app.services.runs.run_lifecycle import fail_silent, lost_repairs, recover_lapsed
from app.services.runs.verification import verification_lifecycle
from app.services.storage_keys import RunRef
from app.statements import rows_of

# A healthy job is picked up long before. Enqueuing a waiting job again changes nothing.
_GRACE = timedelta(seconds=15)
_BATCH = 1000

log = structlog.get_logger(__name__)


async def recover_runs(clients: ServiceClients, *, limit: int = 0, silence: timedelta | None = None) -> int:
    """Recover all runs that have lost their job or their worker; return the number of jobs that were enqueued."""
    begun, events = utcnow(), clients.events
    asked_before = begun - _GRACE
    for lost_runs, recover in (
        (lost_repairs(), verification_lifecycle.end_lost_repairs),
        (verification_lifecycle.lapsed_attempts(), verification_lifecycle.recover_attempts),
    ):
        async with unit_of_work(clients.sessions) as session:
            run_ids = [run_id for run_id, *_ in await rows_of(session, lost_runs)]
        # One that cannot be recovered keeps no other from it.
        step = partial(recover, events=events)
        await settle_each(
            clients.sessions, run_ids, step, event="run.not_recovered", name=lambda it: {"run_id": str(it)}
        )
    async with unit_of_work(clients.sessions) as session:
        requeued, failed = await recover_lapsed(session, events=events)
        silent = await fail_silent(session, silence=silence, events=events) if silence else []
        failed += silent
        is_any = requeued or failed
        receipts = await receipts_of_lost(session, requeued, failed, begun) if is_any else {}
        waiting = (await session.scalars(startable(limit, asked_before=asked_before).limit(_BATCH))).all()
        unverified = await rows_of(
            session, verification_lifecycle.waiting_attempts(asked_before).limit(_BATCH)
        )
    if lost := len(requeued) + len(failed) - len(silent):
        log.warning("run.lease_lapsed", requeued=len(requeued), failed=lost - len(requeued))
    if silent:
        log.warning("run.agent_silent", failed=len(silent))
    missing = 0
    try:
        for run_id, attempt in unverified:
            missing += await enqueue_verification(clients.queue, run_id, attempt)
        for run_id in dict.fromkeys([*requeued, *waiting]):
            missing += await enqueue_run(clients.queue, run_id)
    finally:
        # Also without Redis: the next sweep finds the waiting runs again, but not these receipts.
        for ref, entries in receipts.items():
            await _keep(clients, ref, entries)
    if missing:
        log.info("run.jobs_restored", count=missing)
    return missing


async def _keep(clients: ServiceClients, ref: RunRef, entries: Sequence[Mapping[str, Any]]) -> None:
    try:
        await append_lines(clients.sessions, clients.store, ref, b"".join(map(log_line, entries)))
    except (DatabaseUnavailable, ObjectStoreUnavailable, Unavailable) as error:
        log.warning("run.receipts_not_kept", run_id=str(ref.run_id), error=repr(error))
