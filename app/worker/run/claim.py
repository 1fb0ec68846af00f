"""A job's claim on a run: taken first, kept by extending its lease, and handed back when the worker is stopped."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.errors import AgentStopped
from app.clients.wakes import WakeListener
from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.ids import new_hex_id
from app.outages import DatabaseUnavailable
from app.periodic import wait
from app.services.enqueueing import enqueue_run_after_commit
from app.services.retrying.attempts import in_transaction
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.queue import Claim, find_claimed
from app.worker.context import WorkerContext

_LONGEST_HOST_NAME = 20

log = structlog.get_logger(__name__)


def new_owner() -> str:
    """Return a unique name for a job, by which operators see which process holds a run."""
    return f"{socket.gethostname()[:_LONGEST_HOST_NAME]}:{os.getpid()}:{new_hex_id()}"


async def claim_run(worker: WorkerContext, run_id: UUID) -> Claim | None:
    """Claim the run that has waited longest in the project of the run `run_id`, as `lifecycle.claim` does, and once."""
    owner = new_owner()
    is_repeated = False

    async def step(session: AsyncSession) -> Claim | None:
        nonlocal is_repeated
        # A commit that was not acknowledged may have claimed a run, and a second one would not be performed.
        held = await find_claimed(session, owner=owner) if is_repeated else None
        is_repeated = True
        return held or await run_lifecycle.claim(
            session,
            run_id,
            owner=owner,
            events=worker.process.events,
            limit=worker.process.settings.project_concurrency,
        )

    return await in_transaction(worker.process.sessions, step)


async def mark_agent_started(worker: WorkerContext, claim: Claim) -> None:
    """Store that the agent of a run starts now. If the worker is lost later, the run fails and is not repeated."""
    is_held = await in_transaction(
        worker.process.sessions,
        lambda session: run_lifecycle.mark_agent_started(session, claim.run_id, owner=claim.owner),
    )
    if not is_held:
        # The error that the heartbeat would raise if it noticed the loss first.
        raise AgentStopped("The run was stopped.")


async def hand_back(worker: WorkerContext, claim: Claim) -> None:
    """Release the claim on a run and enqueue the run for another worker. Does nothing if the claim is already lost."""

    async def step(session: AsyncSession) -> bool:
        is_returned = await run_lifecycle.hand_back(
            session, claim.run_id, owner=claim.owner, events=worker.process.events
        )
        if is_returned:
            enqueue_run_after_commit(session, worker.process.queue, claim.run_id)
        return is_returned

    # Retried while the database restarts together with the worker; otherwise the run would fail as lost.
    if await in_transaction(worker.process.sessions, step):
        log.info("run.handed_back")


_BEAT_SECONDS = run_lifecycle.RUN_LEASE.total_seconds() / 6
# The time for the steps after the agent: collecting and storing its results.
_GRACE_SECONDS = 60.0


# Extends a lease; returns False if it is lost.
Extend = Callable[[AsyncSession], Awaitable[bool]]


class LeaseLost(Exception):
    """The worker lost its claim on a run, and did not end its work on the run within a minute, so it was cancelled."""


@asynccontextmanager
async def hold_lease(
    sessions: SessionFactory, changes: WakeListener, run_id: UUID, extend: Extend
) -> AsyncGenerator[asyncio.Event, None]:
    """Extend a lease until the block ends, by `extend`: at intervals, and at once when the run changes.

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
                await _extend_until_lost(sessions, extend, changed)
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


async def _extend_until_lost(sessions: SessionFactory, extend: Extend, changed: asyncio.Event) -> None:
    expires_at = utcnow() + run_lifecycle.RUN_LEASE
    while True:
        await wait(changed, _BEAT_SECONDS)
        changed.clear()
        try:
            async with unit_of_work(sessions) as session:
                kept = await extend(session)
            expires_at = utcnow() + run_lifecycle.RUN_LEASE
        except DatabaseUnavailable as error:
            log.warning("lease.not_extended", error=repr(error))
            kept = utcnow() < expires_at
        if not kept:
            return
