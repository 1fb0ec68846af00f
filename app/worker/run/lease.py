"""The heartbeat of a run: extends the lease, and stops the work when the worker has lost the run."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from app.clients.wakes import WakeListener
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.outages import DatabaseUnavailable
from app.periodic import wait
from app.services.runs import lifecycle as run_lifecycle

_BEAT_SECONDS = run_lifecycle.RUN_LEASE.total_seconds() / 6
# The time for the steps after the agent: collecting and storing its results.
_GRACE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The worker lost its claim on a run, and did not end its work on the run within a minute, so it was cancelled.

    The claim is lost if the run was cancelled or another worker has it. `hold_lease` raises this error at the end of
    its block; if the block ends in time, it raises none.
    """


@asynccontextmanager
async def hold_lease(
    sessions: SessionFactory, changes: WakeListener, run_id: UUID, *, owner: str
) -> AsyncGenerator[asyncio.Event, None]:
    """Extend the lease of a claimed run until the block ends: at intervals, and at once when the run changes.

    `owner` is the name under which the worker holds the claim (`Claim.owner`). Yields an event that is set when the
    lease is lost. The block then has a minute to finish; no error is raised if it does.

    Raises LeaseLost.
    """
    lost, is_cancelled = asyncio.Event(), False
    block = asyncio.current_task()
    assert block is not None

    async def beat() -> None:
        nonlocal is_cancelled
        try:
            with changes.watch(run_id) as changed:
                await _extend_until_lost(sessions, run_id, owner, changed)
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
    sessions: SessionFactory, run_id: UUID, owner: str, changed: asyncio.Event
) -> None:
    expires_at = utcnow() + run_lifecycle.RUN_LEASE
    while True:
        await wait(changed, _BEAT_SECONDS)
        changed.clear()
        try:
            async with unit_of_work(sessions) as session:
                kept = await run_lifecycle.extend_lease(session, run_id, owner=owner)
            expires_at = utcnow() + run_lifecycle.RUN_LEASE
        except DatabaseUnavailable as error:
            log.warning("lease.not_extended", error=repr(error))
            kept = utcnow() < expires_at
        if not kept:
            return
