"""The mailbox of one run in progress: what people tell its agent, read from rows, each step told on the run's log."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import structlog
from typing_extensions import override

from app.agents.base.attachments import Attachment
from app.agents.errors import AgentStopped
from app.agents.session.commands import Command, Mailbox
from app.agents.session.transcript import Emit, notification
from app.clock import utcnow
from app.db import DatabaseUnavailable, unit_of_work
from app.enums import CommandMethod, CommandStatus
from app.services.retries import until_database_answers
from app.services.runs import inbox as run_inbox
from app.services.runs.inbox import Attempt
from app.worker.context import WorkerContext
from app.worker.run.files import fetch_attachments
from app.worker.run.orders import Orders

__all__ = ["Inbox"]

# Looks for commands as often without being woken, so that an outage of Redis only delays them.
_LOOK_SECONDS = 10.0
_OVER = "The run's agent has ended."
# What an agent that waits for a person goes on with.
_ENDS_WAITING = frozenset(
    {CommandMethod.USER_MESSAGE, CommandMethod.PERMISSION_RESPONSE, CommandMethod.CLOSE, CommandMethod.CANCEL}
)

log = structlog.get_logger(__name__)


class Inbox(Mailbox):
    """While the block runs, commands are taken; when it ends well, what is still open is dropped, and that told.

    A worker that is stopped leaves them to the next one: they stay as they are.
    """

    def __init__(
        self,
        worker: WorkerContext,
        orders: Orders,
        *,
        owner: str,
        emit: Emit,
        record: Emit,
        folder: Path,
    ) -> None:
        """Prepare to take commands; `emit` tells followers and the log, `record` the log alone."""
        self._worker = worker
        self._record = record
        self._orders = orders
        self._owner = owner
        self._emit = emit
        self._folder = folder
        self._seen = 0
        self._is_closed = False
        # Commands whose end was not told yet, with the ids that callers gave them.
        self._untold: dict[UUID, Any] = {}
        self._watching: AbstractContextManager[asyncio.Event] = worker.changes.watch(orders.run_id)

    async def __aenter__(self) -> Self:
        self._changed = self._watching.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.__exit__(kind, error, trace)
        self._worker.places.take_back(self._orders.run_id)
        if error is None:
            await self._end()

    @override
    async def news(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._changed.wait()
        self._changed.clear()

    @override
    async def fetch(self) -> list[Command]:
        try:
            async with unit_of_work(self._worker.process.sessions) as session:
                rows = await run_inbox.read_accepted(session, self._orders.run_id, after=self._seen)
        except DatabaseUnavailable as error:
            log.warning("inbox.not_read", error=repr(error))
            return []
        commands = []
        for row in rows:
            command = Command(row.id, CommandMethod(row.method), row.params)
            if command.method in _ENDS_WAITING:
                self._worker.places.take_back(self._orders.run_id)
            self._seen = row.position
            self._untold[row.id] = row.rpc_id
            await self._tell(command.id, command.method, CommandStatus.ACCEPTED)
            commands.append(command)
        return commands

    @override
    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        async def step() -> bool:
            async with unit_of_work(self._worker.process.sessions) as session:
                return await run_inbox.settle(
                    session, self._orders.run_id, command.id, status, owner=self._owner, reason=reason
                )

        is_settled = await until_database_answers(step)
        if is_settled:
            await self._tell(command.id, command.method, status, reason)
        return is_settled

    @override
    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        if not ids:
            return []
        process, orders = self._worker.process, self._orders
        async with unit_of_work(process.sessions) as session:
            artifacts = await run_inbox.files_of(session, orders.run_id, ids)
        return await fetch_attachments(process.store, artifacts, self._folder, project_id=orders.project_id)

    @override
    async def await_message(self) -> bool:
        waiting_for = {"kind": "message", "since": utcnow().isoformat()}
        return await self._start_waiting(waiting_for, seen=self._seen)

    @override
    async def await_answer(self, request: dict[str, Any]) -> None:
        await self._start_waiting(request, seen=None)

    async def _start_waiting(self, waiting_for: dict[str, Any], *, seen: int | None) -> bool:
        async def step() -> Attempt:
            async with unit_of_work(self._worker.process.sessions) as session:
                return await run_inbox.start_waiting(
                    session,
                    self._orders.run_id,
                    waiting_for,
                    owner=self._owner,
                    seen=seen,
                    queue=self._worker.process.queue,
                )

        # First: whoever answers at once ends the waiting, and must find it begun.
        self._worker.places.leave(self._orders.run_id)
        is_waiting = _is_done(await until_database_answers(step))
        if not is_waiting:
            self._worker.places.take_back(self._orders.run_id)
        else:
            await self._emit(notification("_taskbeacon/waiting_for", waiting_for))
        return is_waiting

    @override
    async def withdraw(self, request_id: str) -> bool:
        async def step() -> bool:
            async with unit_of_work(self._worker.process.sessions) as session:
                return await run_inbox.stop_waiting(
                    session, self._orders.run_id, request_id, owner=self._owner
                )

        self._worker.places.take_back(self._orders.run_id)
        return await until_database_answers(step)

    @override
    async def close(self) -> bool:
        self._is_closed = _is_done(await self._end_agent(seen=self._seen))
        return self._is_closed

    async def _end_agent(self, *, seen: int | None) -> Attempt:
        async def step() -> Attempt:
            async with unit_of_work(self._worker.process.sessions) as session:
                return await run_inbox.end_agent(
                    session, self._orders.run_id, owner=self._owner, seen=seen, reason=_OVER
                )

        return await until_database_answers(step)

    async def _end(self) -> None:
        """Take nothing more, and tell what was dropped: here, or by whoever ended the run."""
        if self._is_closed and not self._untold:
            return
        try:
            # Whoever has ended the run has told its followers what was dropped; the log is left to its worker.
            is_dropped_here = self._is_closed or await self._end_agent(seen=None) is Attempt.DONE
            async with unit_of_work(self._worker.process.sessions) as session:
                dropped = await run_inbox.read_dropped(
                    session, self._orders.run_id, self._untold, after=self._seen
                )
        except DatabaseUnavailable as error:
            # Whoever ends the run settles them; only their receipts are missing.
            log.warning("inbox.not_closed", error=repr(error))
            return
        for row in dropped:
            self._untold.setdefault(row.id, row.rpc_id)
            await self._tell(
                row.id,
                CommandMethod(row.method),
                CommandStatus.DROPPED,
                row.reason,
                by=self._emit if is_dropped_here else self._record,
            )

    async def _tell(
        self,
        command_id: UUID,
        method: CommandMethod,
        status: CommandStatus,
        reason: str | None = None,
        *,
        by: Emit | None = None,
    ) -> None:
        rpc_id = self._untold.get(command_id)
        if status in {CommandStatus.CONSUMED, CommandStatus.DROPPED}:
            self._untold.pop(command_id, None)
        tell = by or self._emit
        await tell(run_inbox.receipt(command_id, method, status, reason=reason, rpc_id=rpc_id))


def _is_done(attempt: Attempt) -> bool:
    """Tell whether a step was taken, or something new came first. Raises AgentStopped if the run is another's."""
    if attempt is Attempt.LOST:
        raise AgentStopped("The run was stopped.")
    return attempt is Attempt.DONE
