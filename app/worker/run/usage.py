"""Writes down what the agent of a run uses, every few seconds while it works and once when it has ended.

Where the runs of a task share a budget, what the others have written down is read as often: they may go on at the same
time, also at other workers, and each must notice when all of them together have used it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from app.agents.session.transport import Message
from app.agents.session.usage import UsageMeter
from app.db import DatabaseUnavailable, SessionFactory, unit_of_work
from app.services.runs.usage import note_usage, spent_by_others

__all__ = ["noting_usage"]

_PAUSE_SECONDS = 3.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def noting_usage(
    sessions: SessionFactory, run_id: UUID, meter: UsageMeter, *, owner: str, shares_with: UUID | None
) -> AsyncGenerator[None, None]:
    """Note what the meter shows while the block runs and after it; an outage of the database only delays that.

    `shares_with` is the task whose other runs the meter is told of; None: there is no budget that they share.
    """
    notes = _Notes(sessions, run_id, meter, owner, shares_with)
    noting = asyncio.create_task(notes.keep_noting())
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
        await notes.note()


class _Notes:
    def __init__(
        self, sessions: SessionFactory, run_id: UUID, meter: UsageMeter, owner: str, task_id: UUID | None
    ) -> None:
        self._sessions = sessions
        self._run_id = run_id
        self._meter = meter
        self._owner = owner
        self._task_id = task_id
        self._noted: Message | None = meter.report()

    async def keep_noting(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.note()
            await self._see_others()

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

    async def _see_others(self) -> None:
        if self._task_id is None:
            return
        try:
            async with unit_of_work(self._sessions) as session:
                others = await spent_by_others(session, self._task_id, self._run_id)
        except DatabaseUnavailable as error:
            log.warning("usage.of_others_not_read", error=repr(error))
        else:
            self._meter.see_others(others)
