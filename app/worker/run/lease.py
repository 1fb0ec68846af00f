"""The lease of claimed work, a run's or that of its checks: extended until the work ends or the claim is lost."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.wakes import WakeListener
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.periodic import wait
from app.services.runs.run_lifecycle import RUN_LEASE

_BEAT_SECONDS = RUN_LEASE.total_seconds() / 6
# The time for an extension of a lease that is about to lapse.
_LEAST_SECONDS = 1.0
# The time for the steps after the agent: collecting and storing its results.
_GRACE_SECONDS = 60.0

# Extends a lease; returns False if it is lost.
Extend = Callable[[AsyncSession], Awaitable[bool]]

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The worker lost its claim on a run, and did not end its work on the run within a minute, so it was cancelled."""


@asynccontextmanager
async def hold_lease(
    sessions: SessionFactory, changes: WakeListener, run_id: UUID, extend: Extend, *, since: datetime
) -> AsyncGenerator[asyncio.Event, None]:
    """Extend a lease until the block ends, by `extend`: at intervals, and at once when the run changes.

    `since` is a time before the claim. A lease that cannot be extended is lost when it has lapsed.
    Yields an event that is set when the lease is lost. The block then has a minute to finish; no error is raised if it
    does. Raises LeaseLost.
    """
    lost, is_cancelled = asyncio.Event(), False
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
        await asyncio.sleep(_GRACE_SECONDS)
        is_cancelled = True
        block.cancel()

    beating = asyncio.create_task(beat())
    try:
        yield lost
    except asyncio.CancelledError as error:
        if is_cancelled and block.uncancel() == 0:
            raise LeaseLost from error
        raise
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _extend_until_lost(
    sessions: SessionFactory, extend: Extend, changed: asyncio.Event, extended_at: datetime
) -> None:
    while True:
        await wait(changed, _BEAT_SECONDS)
        changed.clear()
        # Read first: the round trip counts against the lease.
        asked_at = utcnow()
        try:
            # A database that does not answer must not keep the loss from the agent.
            left = (extended_at + RUN_LEASE - asked_at).total_seconds()
            async with asyncio.timeout(max(left, _LEAST_SECONDS)), unit_of_work(sessions) as session:
                kept = await extend(session)
            extended_at = asked_at
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("lease.not_extended", error=repr(error))
            kept = utcnow() < extended_at + RUN_LEASE
        if not kept:
            return
