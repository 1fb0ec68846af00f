"""Job that sends due push notifications: claim, send, settle, until none is due.

No database session is open during requests.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from app.clients.push import Deadline, NotSent, PushOutcome, TryLater
from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services.notifications import claims, delivery
from app.services.notifications.messages import Composer, Delivery
from app.services.retrying.attempts import by_halves, in_transaction
from app.shielded import shielded
from app.worker.context import PUSH_LANES, worker_context

log = structlog.get_logger(__name__)


async def deliver_notifications(ctx: Mapping[str, Any]) -> None:
    """Job: send all push notifications that are due.

    Several workers may run it at once: each push is claimed and sent by only one of them.
    """
    worker = worker_context(ctx)
    await deliver_due(worker.process, worker.push_lanes)


async def deliver_due(process: ProcessContext, lanes: asyncio.Semaphore) -> int:
    """Claim and send all push notifications that are due. Return how many were claimed, after all results are stored.

    If a push service asks to wait, its pushes become due again later; this function may then leave due pushes
    unclaimed for the next call. If the worker is being stopped, requests in progress finish, no new ones start, and
    the other claimed pushes are released for other workers. `lanes` limits how many batches of claimed pushes this
    process handles at once.
    """
    more = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_lane(process, lanes, more))
        first.add_done_callback(lambda _: more.set())
        # Most events fit into one claim; the other lanes start only if there is more.
        _ = await more.wait()
        others = 0 if first.done() else PUSH_LANES - 1
        all_lanes = [first, *(group.create_task(_lane(process, lanes, more)) for _ in range(others))]
    errors = [error for _, error in (lane.result() for lane in all_lanes) if error is not None]
    for error in errors[1:]:
        log.error("push.lane_failed", exc_info=error)
    if errors:
        raise errors[0]
    return sum(taken for taken, _ in (lane.result() for lane in all_lanes))


async def _lane(
    process: ProcessContext, lanes: asyncio.Semaphore, more: asyncio.Event
) -> tuple[int, Exception | None]:
    total = 0
    is_last = False
    while not is_last:
        # Claimed within the lane, so that a crash leaves at most one claim per lane unsettled.
        async with lanes:
            deadline = Deadline(delivery.SEND_WITHIN.total_seconds())
            work = _claim_send_settle(process, deadline, more)
            try:
                taken, is_last = await shielded(work, on_cancel=deadline.expire)
            except Exception as error:  # noqa: BLE001 - raised, it would cancel the other lanes, and their pushes
                return total, error
        total += taken
    return total, None


async def _claim_send_settle(
    process: ProcessContext, deadline: Deadline, more: asyncio.Event
) -> tuple[int, bool]:
    async with unit_of_work(process.sessions) as session:
        claimed, is_full = await claims.claim_due(session)
    if is_full:
        more.set()
    outcomes = {}
    if claimed:
        composer = Composer.of(process.settings)
        outcomes = await delivery.send(process.push, claimed, composer=composer, deadline=deadline)
        await _settle(process, claimed, outcomes)
    is_refused = bool(outcomes) and all(isinstance(each, TryLater | NotSent) for each in outcomes.values())
    if outcomes and not is_refused:
        log.info("push.claim_delivered", size=len(claimed))
    return len(claimed), not is_full or is_refused


async def _settle(
    process: ProcessContext, claimed: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome]
) -> None:
    async def store(some: Sequence[Delivery]) -> None:
        await in_transaction(process.sessions, lambda session: delivery.settle(session, some, outcomes))

    # One that is not stored is sent again when its claim ends, until its pushes are given up.
    await by_halves(claimed, store, event="push.not_settled", name=claims.log_fields)
