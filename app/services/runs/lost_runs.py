"""Requeue or fail runs that have lost their job or their worker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import after_commit, unit_of_work
from app.db.statements import rows_of
from app.errors import Unavailable
from app.json_types import JsonDict
from app.models import Run
from app.outages import DatabaseUnavailable
from app.services.artifacts.artifact_uploads import for_each
from app.services.enqueueing import enqueue_run, enqueue_verification
from app.services.opened_clients import ServiceClients
from app.services.retrying.due_rows import Settle, settle_each
from app.services.run_log.log_entries import log_line
from app.services.run_log.log_writing import append_lines
from app.services.runs.command_delivery import receipts_of_lost
from app.services.runs.queue.claim_order import startable
from app.services.runs.run_lifecycle import (
    fail_silent,
    lapsed_runs,
    lost_repairs,
    recover_lapsed,
    silent_runs,
)
from app.services.runs.verification_attempts import verification_lifecycle

# A healthy job is picked up long before this. Enqueuing a job that is on the queue changes nothing.
_GRACE = timedelta(seconds=15)
_BATCH = 1000
# The time limit for the receipts of all runs of a sweep, whose job has a minute.
_RECEIPT_SECONDS = 30.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Sweep:
    """The decisions of the committed transactions of one sweep."""

    begun: datetime
    events: RunEvents
    requeued: list[UUID] = field(default_factory=list)
    receipts: dict[RunRef, list[JsonDict]] = field(default_factory=dict)

    async def recover(self, session: AsyncSession, run_ids: Sequence[UUID]) -> None:
        requeued, failed = await recover_lapsed(session, run_ids, events=self.events)
        await self._note(session, "run.lease_lapsed", requeued, failed)

    async def fail(self, session: AsyncSession, run_ids: Sequence[UUID], *, silence: timedelta) -> None:
        failed = await fail_silent(session, run_ids, silence=silence, events=self.events)
        await self._note(session, "run.agent_silent", [], failed)

    async def _note(
        self, session: AsyncSession, event: str, requeued: Sequence[UUID], failed: Sequence[UUID]
    ) -> None:
        if not requeued and not failed:
            return
        receipts = await receipts_of_lost(session, requeued, failed, self.begun)

        def note() -> None:
            log.warning(event, requeued=len(requeued), failed=len(failed))
            self.requeued += requeued
            self.receipts |= receipts

        after_commit(session, note)


async def recover_runs(
    clients: ServiceClients,
    *,
    limit: int = 0,
    silence: timedelta | None = None,
    receipt_seconds: float = _RECEIPT_SECONDS,
) -> int:
    """Recover runs that have lost their job or worker, up to 1000 in each state; return how many jobs were enqueued."""
    sweep, events = _Sweep(utcnow(), clients.events), clients.events
    steps: list[tuple[Select[UUID], Settle[UUID]]] = [
        (
            lost_repairs().with_only_columns(Run.id),
            partial(verification_lifecycle.end_lost_repairs, events=events),
        ),
        (
            verification_lifecycle.lapsed_attempts(),
            partial(verification_lifecycle.recover_attempts, events=events),
        ),
        (lapsed_runs(), sweep.recover),
    ]
    if silence:
        steps.append((silent_runs(silence), partial(sweep.fail, silence=silence)))
    try:
        for found, settle in steps:
            async with unit_of_work(clients.sessions) as session:
                run_ids = (await session.scalars(found.limit(_BATCH))).all()
            # A run that cannot be recovered does not stop the others.
            await settle_each(
                clients.sessions,
                run_ids,
                settle,
                event="run.not_recovered",
                name=lambda run_id: {"run_id": str(run_id)},
            )
        return await _enqueue_waiting(clients, sweep.requeued, limit, asked_before=sweep.begun - _GRACE)
    finally:
        # Even if Redis is unavailable: the next sweep finds the waiting runs again, but not these receipts.
        until = asyncio.get_running_loop().time() + receipt_seconds
        await for_each(sweep.receipts.items(), partial(_keep, clients, until))


async def _enqueue_waiting(
    clients: ServiceClients, requeued: Sequence[UUID], limit: int, *, asked_before: datetime
) -> int:
    async with unit_of_work(clients.sessions) as session:
        waiting = (await session.scalars(startable(limit, asked_before=asked_before).limit(_BATCH))).all()
        unverified = await rows_of(
            session, verification_lifecycle.waiting_attempts(asked_before).limit(_BATCH)
        )
    missing = 0
    for run_id, attempt in unverified:
        missing += await enqueue_verification(clients.queue, run_id, attempt)
    for run_id in dict.fromkeys([*requeued, *waiting]):
        missing += await enqueue_run(clients.queue, run_id)
    if missing:
        log.info("run.jobs_restored", count=missing)
    return missing


async def _keep(clients: ServiceClients, until: float, receipts: tuple[RunRef, list[JsonDict]]) -> None:
    ref, entries = receipts
    try:
        async with asyncio.timeout_at(until):
            await append_lines(clients.sessions, clients.store, ref, b"".join(map(log_line, entries)))
    except (DatabaseUnavailable, ObjectStoreUnavailable, Unavailable, TimeoutError) as error:
        log.warning("run.receipts_not_kept", run_id=str(ref.run_id), error=repr(error))
