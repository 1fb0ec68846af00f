"""The commands to one running agent, read from the database; the run's log gets a receipt of each step."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.agents.errors import AgentStopped
from app.agents.files.attachments import Attachment
from app.agents.session.command_source import Command, CommandSource
from app.agents.session.transcript import Emit
from app.clock import utcnow
from app.coroutines.periodic import wait
from app.db import unit_of_work
from app.dialogue.agent_reports import AgentMessage, MessageOutcome, notification_entry
from app.dialogue.shown_questions import ShownQuestion
from app.enums import STOPS, CommandMethod, CommandStatus
from app.outages import DatabaseUnavailable
from app.services.retrying.retries import in_transaction
from app.services.runs import command_delivery
from app.services.runs.command_delivery import CommandRow, StepResult
from app.services.runs.run_lifecycle import Claim
from app.worker.run.log_recorder import RunLog
from app.worker.run.run_files import fetch_attachments
from app.worker.worker_context import WorkerContext

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Commands that end the agent's waiting for a person.
_ENDS_WAITING = frozenset(
    {CommandMethod.USER_MESSAGE, CommandMethod.PERMISSION_RESPONSE, CommandMethod.CLOSE, CommandMethod.CANCEL}
)

log = structlog.get_logger(__name__)


class StoredCommands(CommandSource):
    """The commands that people send to the agent of one run, read from the database. An async context manager."""

    def __init__(
        self,
        worker: WorkerContext,
        claim: Claim,
        run_log: RunLog,
        folder: Path,
        *,
        before_message: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare; `before_message` is awaited before people are notified that the agent waits for a message."""
        self._worker = worker
        self._sessions = worker.process.sessions
        self._owner = claim.owner
        self._claim = claim
        self._log = run_log
        self._folder = folder
        self._before_message = before_message
        self._seen = 0
        self._began_at = utcnow()
        self._is_closed = False
        self._is_ended = False
        # Commands without a final receipt, with the ids from their callers.
        self._open: dict[UUID, Any] = {}
        self._cleared: set[UUID] = set()
        self._opened = ExitStack()

    async def __aenter__(self) -> Self:
        self._opened.callback(self._worker.slots.take_back, self._claim.run_id)
        self._changed = self._opened.enter_context(self._worker.changes.watch(self._claim.run_id))
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        self._opened.close()
        if error is None:
            await self.end()

    @override
    async def news(self) -> None:
        await wait(self._changed, self._worker.run_times.poll)
        self._changed.clear()

    @override
    async def fetch(self) -> list[Command]:
        try:
            async with unit_of_work(self._sessions) as session:
                rows = await command_delivery.read_accepted(session, self._claim.run_id, after=self._seen)
                dropped = await self._read_dropped(session)
        except DatabaseUnavailable as error:
            log.warning("commands.not_read", error=repr(error))
            return []
        commands = []
        for row in rows:
            is_repeated = row.reason == command_delivery.REPEATED_REASON
            command = Command(row.id, row.method, row.params, is_repeated, row.position)
            self._seen = row.position
            self._open[row.id] = row.rpc_id
            await self._write_receipt(command, CommandStatus.ACCEPTED)
            commands.append(command)
        for message in dropped:
            if message.is_cleared:
                await self._report_dropped(message, by=self._log.record)
        return [command for command in commands if self.is_open(command)]

    async def _read_dropped(self, session: AsyncSession) -> list[CommandRow]:
        dropped = await command_delivery.read_dropped(
            session, self._claim.run_id, list(self._open), after=self._seen, since=self._began_at
        )
        return [row for row in dropped if row.id not in self._cleared]

    async def _report_dropped(self, row: CommandRow, *, by: Emit) -> None:
        if row.is_cleared:
            self._cleared.add(row.id)
        self._open.pop(row.id, None)
        await by(row.receipt_of_drop)

    @override
    def is_open(self, command: Command) -> bool:
        return command.id in self._open

    @override
    async def settle(
        self, command: Command, status: CommandStatus, reason: str | None = None, *, is_logged: bool = True
    ) -> bool:
        if command.method in _ENDS_WAITING and status is CommandStatus.DELIVERED:
            # Only a delivered command: one that is dropped or held back leaves the agent waiting.
            self._worker.slots.take_back(self._claim.run_id)
        # A command that has its final receipt must not get a second one.
        is_settled = command.id in self._open and await self._do(
            command_delivery.settle, command.id, status, owner=self._owner, reason=reason
        )
        if is_settled and is_logged:
            await self._write_receipt(command, status, reason)
        return is_settled

    @override
    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        if not ids:
            return []
        artifacts = await self._do(command_delivery.files_of, ids)
        return await fetch_attachments(
            self._worker.process.store, artifacts, self._folder, project_id=self._claim.project_id
        )

    @override
    async def await_message(self, asked: ShownQuestion) -> bool:
        await self._before_message()
        return await self._start_waiting(asked, seen=self._seen)

    @override
    def resume(self) -> None:
        self._worker.slots.take_back(self._claim.run_id)

    @override
    async def await_answer(self, asked: ShownQuestion) -> None:
        await self._start_waiting(asked, seen=None)

    async def _start_waiting(self, asked: ShownQuestion, *, seen: int | None) -> bool:
        # Set before the question is stored, so that an immediate answer finds that the agent waits.
        self._worker.slots.leave(self._claim.run_id)
        result = await self._do(command_delivery.start_waiting, asked, owner=self._owner, seen=seen)
        is_waiting = _is_done(result)
        if not is_waiting:
            self._worker.slots.take_back(self._claim.run_id)
        else:
            await self._log.append(notification_entry("_taskbeacon/waiting_for", asked.waiting_for))
        return is_waiting

    async def notify_user(self, message: AgentMessage) -> MessageOutcome:
        """Decide whether the agent's `message` is pushed to the creator of its task; return the decision."""
        outcome = await self._do(command_delivery.notify_user, message, owner=self._owner)
        if outcome is None:
            raise AgentStopped("The run was stopped.")
        return outcome

    @override
    async def withdraw(self, request_id: str) -> bool:
        self._worker.slots.take_back(self._claim.run_id)
        return await self._do(command_delivery.stop_waiting, request_id, owner=self._owner)

    @override
    async def close(self) -> bool:
        self._is_closed = _is_done(await self._end_agent(seen=self._seen))
        return self._is_closed

    async def _end_agent(self, *, seen: int | None) -> StepResult:
        # A run that waited takes its slot back, since its work must still be gathered.
        self._worker.slots.take_back(self._claim.run_id)
        return await self._do(
            command_delivery.end_agent,
            owner=self._owner,
            seen=seen,
            reason=command_delivery.AGENT_ENDED_REASON,
        )

    async def _do(
        self,
        step: Callable[Concatenate[AsyncSession, UUID, Parameters], Awaitable[Result]],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        return await in_transaction(
            self._sessions, lambda session: step(session, self._claim.run_id, *args, **kwargs)
        )

    @override
    async def end(self) -> bool:
        # Nothing is left to report after an earlier call, or if the agent was closed and all its commands are settled.
        if self._is_ended or (self._is_closed and not self._open):
            return False
        try:
            # If another process has ended the run, it dropped the commands and published that; this worker logs it.
            is_dropped_here = self._is_closed or await self._end_agent(seen=None) is StepResult.DONE
            dropped = await in_transaction(self._sessions, self._read_dropped)
        except Exception as error:
            # The process that ends the run drops the commands; only their receipts will be missing.
            is_outage = isinstance(error, DatabaseUnavailable)
            log.warning("commands.not_closed", error=repr(error), exc_info=not is_outage)
            return False
        self._is_ended = True
        for row in dropped:
            is_published = row.is_cleared or not is_dropped_here
            await self._report_dropped(row, by=self._log.record if is_published else self._log.append)
        return not self._is_closed and is_dropped_here and any(row.method in STOPS for row in dropped)

    async def _write_receipt(
        self, command: Command, status: CommandStatus, reason: str | None = None
    ) -> None:
        rpc_id = self._open.get(command.id)
        if status in {CommandStatus.CONSUMED, CommandStatus.DROPPED}:
            self._open.pop(command.id, None)
        await self._log.append(command_delivery.receipt(command, status, reason, rpc_id))


def _is_done(result: StepResult) -> bool:
    if result is StepResult.LOST:
        raise AgentStopped("The run was stopped.")
    return result is StepResult.DONE
