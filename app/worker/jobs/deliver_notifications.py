"""Deliver pushes that are due: claim, send, settle, until there are none. No session is open while Expo answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from app.agents.uninterrupted import uninterrupted
from app.clients.push import TryLater
from app.db import unit_of_work
from app.services import notification_delivery as delivery
from app.services.process import ProcessContext
from app.worker.context import PUSH_SLOTS, worker_context
from app.worker.retries import until_database_answers

__all__ = ["deliver_due", "deliver_notifications"]

log = structlog.get_logger(__name__)


async def deliver_notifications(ctx: Mapping[str, Any]) -> None:
    """Deliver what is due. Any number of copies may run: each claims what the others did not."""
    worker = worker_context(ctx)
    await deliver_due(worker.process, worker.push_slots)


async def deliver_due(process: ProcessContext, slots: asyncio.Semaphore) -> int:
    """Deliver what is due and return how many pushes were taken up.

    Ends when nothing is due, or early when a push service asks for patience: its pushes come up again by themselves.
    A worker that is being stopped finishes the batches that are under way, of which `slots` bounds the number.
    """
    taken, is_last = await _deliver_batch(process, slots)
    # Most events fit into one request; the other lanes are for the rest.
    if is_last:
        return taken
    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(_lane(process, slots)) for _ in range(PUSH_SLOTS)]
    return taken + sum(lane.result() for lane in lanes)


async def _lane(process: ProcessContext, slots: asyncio.Semaphore) -> int:
    total = 0
    is_last = False
    while not is_last:
        taken, is_last = await _deliver_batch(process, slots)
        total += taken
    return total


async def _deliver_batch(process: ProcessContext, slots: asyncio.Semaphore) -> tuple[int, bool]:
    """Deliver one batch; return its size, and whether it was the last that can be delivered for now."""
    # Claimed within the slot: what is claimed is sent at once, and no more is in doubt than there are slots.
    async with slots:
        taken, is_refused = await uninterrupted(_claim_send_settle(process))
    return taken, is_refused or taken < delivery.BATCH


async def _claim_send_settle(process: ProcessContext) -> tuple[int, bool]:
    """Deliver one batch; return its size, and whether the push service takes nothing for now."""
    async with unit_of_work(process.sessions) as session:
        claimed = await delivery.claim_due(session)
    if not claimed:
        return 0, False
    outcomes = await delivery.send(process.push, claimed, title=process.settings.push_title)

    async def settle() -> None:
        async with unit_of_work(process.sessions) as session:
            await delivery.settle(session, claimed, outcomes)

    await until_database_answers(settle)
    log.info("push.batch_delivered", size=len(claimed))
    return len(claimed), all(isinstance(outcome, TryLater) for outcome in outcomes.values())
