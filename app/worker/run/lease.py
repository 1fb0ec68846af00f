"""The heartbeat of a run: proves that its worker is alive, and stops the work when the run is no longer its own."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from app.clients.run_changes import RunChanges
from app.clock import utcnow
from app.db import DatabaseUnavailable, SessionFactory, unit_of_work
from app.services.runs import lifecycle as run_lifecycle

__all__ = ["Lease", "LeaseLost"]

_BEAT_SECONDS = run_lifecycle.LEASE.total_seconds() / 6
# For what comes after the agent: collecting and storing what it left.
_GRACE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The run was cancelled, or another worker holds it."""


class Lease:
    """While the block runs, the run's lease is extended: at intervals, and at once when the run was changed.

    When it is lost, `lost` is set, so that the block can end its work in good order. If it takes longer than a grace
    time it is cancelled: `LeaseLost`.
    """

    def __init__(self, sessions: SessionFactory, changes: RunChanges, run_id: UUID, *, owner: str) -> None:
        self.lost = asyncio.Event()
        self._sessions = sessions
        self._changes = changes
        self._run_id = run_id
        self._owner = owner
        self._cancelled = False

    async def __aenter__(self) -> Self:
        block = asyncio.current_task()
        assert block is not None
        self._block = block
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        if self._cancelled and isinstance(error, asyncio.CancelledError) and self._block.uncancel() == 0:
            raise LeaseLost from error

    async def _beat(self) -> None:
        try:
            with self._changes.watch(self._run_id) as changed:
                await self._keep(changed)
            log.info("lease.lost")
        except Exception:
            # The lease is not extended any more: the agent must stop now, not work without it.
            log.exception("lease.unexpected_error")
        self.lost.set()
        await asyncio.sleep(_GRACE_SECONDS)
        self._cancelled = True
        self._block.cancel()

    async def _keep(self, changed: asyncio.Event) -> None:
        """Return when the lease is lost."""
        expires_at = utcnow() + run_lifecycle.LEASE
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_SECONDS):
                    await changed.wait()
            changed.clear()
            try:
                async with unit_of_work(self._sessions) as session:
                    kept = await run_lifecycle.extend_lease(session, self._run_id, owner=self._owner)
                expires_at = utcnow() + run_lifecycle.LEASE
            except DatabaseUnavailable as error:
                log.warning("lease.not_extended", error=repr(error))
                kept = utcnow() < expires_at
            if not kept:
                return
