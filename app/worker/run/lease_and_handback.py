"""Holds the lease on claimed work, a run or its checks, and hands it back if the worker stops."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.wakes import WakeListener
from app.clock import utcnow
from app.coroutines.periodic import wait
from app.coroutines.shielded import shielded
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.services.retrying.policies import RUN_LEASE
from app.worker.worker_context import WorkerContext

_BEAT_SECONDS = RUN_LEASE.total_seconds() / 6
# The time limit for the extension of a lease that is about to lapse.
_LEAST_SECONDS = 1.0
# The time for the steps after the agent: collecting and storing its results.
_GRACE_SECONDS = 60.0

# Extends a lease; returns False if it is lost.
Extend = Callable[[AsyncSession], Awaitable[bool]]

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The worker lost its claim on a run, and did not end its work on the run within a minute, so it was cancelled."""


class Claimed(Protocol):
    """What a job can claim: a run, or an attempt to check one."""

    @property
    def run_id(self) -> UUID: ...


_Claimed = TypeVar("_Claimed", bound=Claimed)


async def perform_claimed(
    worker: WorkerContext,
    claiming: Coroutine[Any, Any, _Claimed | None],  # Any: yields to asyncio; nothing is sent
    perform: Callable[[_Claimed, asyncio.Event], Awaitable[None]],
    *,
    extend: Callable[[AsyncSession, _Claimed], Awaitable[bool]],
    hand_back: Callable[[_Claimed], Awaitable[None]],
) -> bool:
    """Claim work and perform it while `extend` extends its lease; return False if there is none.

    If the worker is stopped, the claim is handed back. If the lease is lost, the event that `perform` gets is set, and
    `perform` is cancelled if it does not end within a minute.
    """
    since = utcnow()
    # A separate task, which a stop does not cancel: after the commit of a claim that is cut off, the lease would stay.
    claim = asyncio.create_task(claiming)
    try:
        if (claimed := await asyncio.shield(claim)) is None:
            return False
        structlog.contextvars.bind_contextvars(run_id=str(claimed.run_id))
        async with hold_lease(
            worker.process.sessions,
            worker.changes,
            claimed.run_id,
            lambda session: extend(session, claimed),
            since=since,
        ) as lost:
            await perform(claimed, lost)
    except LeaseLost:
        log.warning("lease.work_cut_off")
    except asyncio.CancelledError:
        await shielded(_hand_back(claim, hand_back))
        raise
    return True


async def _hand_back(
    claim: asyncio.Task[_Claimed | None], hand_back: Callable[[_Claimed], Awaitable[None]]
) -> None:
    if (claimed := await claim) is not None:
        await hand_back(claimed)


@asynccontextmanager
async def hold_lease(
    sessions: SessionFactory, changes: WakeListener, run_id: UUID, extend: Extend, *, since: datetime
) -> AsyncGenerator[asyncio.Event, None]:
    """Extend a lease until the block ends, by `extend`: at intervals, and at once when the run changes.

    `since` is a time before the claim. A lease that cannot be extended is lost when it has lapsed. Yields an event that
    is set when the lease is lost. The block then has a minute to finish; if it does not, raises LeaseLost.
    """
    lost, over, is_cancelled = asyncio.Event(), asyncio.Event(), False
    block = asyncio.current_task()
    assert block is not None

    async def beat() -> None:
        nonlocal is_cancelled
        try:
            with changes.watch(run_id) as changed:
                await _extend_until_lost(sessions, extend, changed, since)
            log.info("lease.lost")
        except Exception:
            # From now on the lease is not extended, so the agent must stop.
            log.exception("lease.unexpected_error")
        lost.set()
        # Checked before the block is cancelled: the cancellation of this task may get lost in what it awaits.
        if not await wait(over, _GRACE_SECONDS):
            is_cancelled = True
            block.cancel()

    beating = asyncio.create_task(beat())
    try:
        try:
            yield lost
        finally:
            over.set()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
    except asyncio.CancelledError as error:
        if is_cancelled and block.cancelling() == 1:
            raise LeaseLost from error
        raise
    finally:
        # Even if the block has suppressed the cancellation.
        if is_cancelled:
            block.uncancel()


async def _extend_until_lost(
    sessions: SessionFactory, extend: Extend, changed: asyncio.Event, since: datetime
) -> None:
    lapses_at = since + RUN_LEASE
    while True:
        await wait(changed, min(_BEAT_SECONDS, (lapses_at - utcnow()).total_seconds()))
        changed.clear()
        # Read before the request, since its duration counts against the lease.
        asked_at = utcnow()
        try:
            # Limited, so that the agent ends with the lease even if the database does not answer.
            left = (lapses_at - asked_at).total_seconds()
            async with asyncio.timeout(max(left, _LEAST_SECONDS)), unit_of_work(sessions) as session:
                kept = await extend(session)
            lapses_at = asked_at + RUN_LEASE
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("lease.not_extended", error=repr(error))
            kept = utcnow() < lapses_at
        if not kept:
            return
