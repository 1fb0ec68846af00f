"""Writes down what the agent of a run uses, every few seconds while it works and once when it has ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from app.agents.usage import UsageMeter
from app.agents.wire import Message
from app.db import DatabaseUnavailable, SessionFactory, unit_of_work
from app.services.run_usage import note_usage

__all__ = ["noting_usage"]

_PAUSE_SECONDS = 3.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def noting_usage(
    sessions: SessionFactory, run_id: UUID, meter: UsageMeter, *, owner: str
) -> AsyncGenerator[None, None]:
    """Note what the meter shows while the block runs and after it; an outage of the database only delays that."""
    notes = _Notes(sessions, run_id, meter, owner)
    noting = asyncio.create_task(notes.keep_noting())
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await notes.note()


class _Notes:
    def __init__(self, sessions: SessionFactory, run_id: UUID, meter: UsageMeter, owner: str) -> None:
        self._sessions = sessions
        self._run_id = run_id
        self._meter = meter
        self._owner = owner
        self._noted: Message | None = meter.report()

    async def keep_noting(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.note()

    async def note(self) -> None:
        report = self._meter.report()
        if report is None or report == self._noted:
            return
        try:
            async with unit_of_work(self._sessions) as session:
                await note_usage(session, self._run_id, report, owner=self._owner)
        except DatabaseUnavailable as error:
            log.warning("usage.not_noted", error=repr(error))
        else:
            self._noted = report
