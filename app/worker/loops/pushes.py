"""Loops that send pushes as they fall due, and release held ones after quiet hours; neither delays the other."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Never

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.pushes.push import Deadline, NotSent, TryLater
from app.clients.wakes import LEDGER, WakeListener
from app.coroutines.periodic import every
from app.coroutines.shielded import shielded
from app.db import unit_of_work
from app.runtime import ProcessContext
from app.services.notifications import digests, push_claims, push_delivery
from app.services.notifications.push_messages import Composer, Delivery
from app.services.retrying.due_rows import settle_each
from app.worker.loops.supervision import repeat

# The concurrent claims of a process: some are sent while others are composed and settled (ADR 16).
PUSH_LANES = 4
# The longest delay of a push after it falls due.
_LOOK_SECONDS = 1.0
# The wait after a wake, so that one look serves several events.
_GATHER_SECONDS = 0.02

log = structlog.get_logger(__name__)


async def deliver_as_due(process: ProcessContext, changes: WakeListener) -> Never:
    """Send pushes as they fall due until cancelled: look every second, and when the ledger has new events."""

    async def look() -> float:
        async with unit_of_work(process.sessions) as session:
            is_due = await push_claims.is_due(session)
        if is_due:
            await deliver_due(process)
        return _LOOK_SECONDS

    with changes.watch_topic(LEDGER) as woken:
        await repeat("push", look, woken, gather=_GATHER_SECONDS)


async def release_as_due(process: ProcessContext) -> None:
    """Every second until cancelled, release all notices that quiet hours held until now."""
    await every(_LOOK_SECONDS, partial(release_held, process), event="push.digests_not_released")


async def release_held(process: ProcessContext) -> None:
    """Release all notices that quiet hours held until now, as pushes that are due."""
    is_last = False
    while not is_last:
        async with unit_of_work(process.sessions) as session:
            is_last = await digests.release_held(session) == 0


async def deliver_due(process: ProcessContext) -> int:
    """Claim and send all due pushes, in several lanes; return how many were claimed, when all results are stored.

    Pushes to a service that asks to wait are left for the next call. If the worker is stopped, requests in progress
    finish, no new ones start, and the other claimed pushes are released.
    """
    more = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_lane(process, more))
        first.add_done_callback(lambda _: more.set())
        # Most events fit into one claim; the other lanes start only if there is more.
        _ = await more.wait()
        others = 0 if first.done() else PUSH_LANES - 1
        all_lanes = [first, *(group.create_task(_lane(process, more)) for _ in range(others))]
    errors = [error for _, error in (lane.result() for lane in all_lanes) if error is not None]
    for error in errors[1:]:
        log.error("push.lane_failed", exc_info=error)
    if errors:
        raise errors[0]
    return sum(taken for taken, _ in (lane.result() for lane in all_lanes))


async def _lane(process: ProcessContext, more: asyncio.Event) -> tuple[int, Exception | None]:
    total = 0
    is_last = False
    while not is_last:
        deadline = Deadline(push_delivery.SEND_WITHIN.total_seconds())
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
        claimed, is_full = await push_claims.claim_due(session)
    if is_full:
        more.set()
    outcomes = {}
    if claimed:
        composer = Composer(process.settings)
        outcomes = await push_delivery.send(
            process.push().senders, claimed, composer=composer, deadline=deadline
        )

        async def settle(session: AsyncSession, part: Sequence[Delivery]) -> None:
            await push_delivery.settle(session, part, outcomes)

        # A push whose result is not stored is sent again when its claim ends, until it has too many claims.
        await settle_each(
            process.sessions,
            claimed,
            settle,
            event="push.not_settled",
            name=lambda delivery: push_claims.log_fields(delivery.push),
        )
    is_refused = bool(outcomes) and all(isinstance(each, TryLater | NotSent) for each in outcomes.values())
    if outcomes and not is_refused:
        log.info("push.claim_delivered", size=len(claimed))
    return len(claimed), not is_full or is_refused
