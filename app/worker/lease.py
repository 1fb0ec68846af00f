"""The heartbeat of a run: proves that its worker is alive, and stops the work when the run is no longer its own."""

import asyncio
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from app.clock import utcnow
from app.db import DatabaseUnavailable, SessionFactory, unit_of_work
from app.services import run_lifecycle

__all__ = ["Lease", "LeaseLost"]

_BEAT_SECONDS = run_lifecycle.LEASE.total_seconds() / 6

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """The run was cancelled, or somebody else holds it."""


class Lease:
    """While the block runs, the run's lease is extended; when it is lost, the block is cancelled: `LeaseLost`."""

    def __init__(self, sessions: SessionFactory, run_id: UUID, *, owner: str) -> None:
        self._sessions = sessions
        self._run_id = run_id
        self._owner = owner
        self._lost = False

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
        if self._lost and isinstance(error, asyncio.CancelledError) and self._block.uncancel() == 0:
            raise LeaseLost from error

    async def _beat(self) -> None:
        expires_at = utcnow() + run_lifecycle.LEASE
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                async with unit_of_work(self._sessions) as session:
                    kept = await run_lifecycle.extend_lease(session, self._run_id, owner=self._owner)
                expires_at = utcnow() + run_lifecycle.LEASE
            except DatabaseUnavailable as error:
                log.warning("lease.not_extended", error=repr(error))
                kept = utcnow() < expires_at
            if not kept:
                self._lost = True
                self._block.cancel()
                return
