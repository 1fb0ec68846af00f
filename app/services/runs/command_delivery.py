"""Steps of a worker with the commands to an agent: read them, record their progress, and store questions.

Each function is one step of the worker that holds the run. If the worker has lost the run, the step changes nothing. A
step that must not overlook a new command locks the run's row first, as the senders do (command_acceptance.py).
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.session.command_source import Command
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db.statements import rows_of
from app.db.sweeping import delete_batch
from app.dialogue.agent_reports import AgentMessage, MessageOutcome, notification_entry
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandMethod, CommandStatus, NotificationKind
from app.json_types import JsonDict
from app.models import Question, Run, RunCommand, Task
from app.models.base import constant
from app.models.runs.run import held_by
from app.models.runs.run_facts import AGENT_ENDED, WAITING_FOR, without_fact
from app.schemas.staged_artifacts import ArtifactOut
from app.services.events.ledger import wake_readers
from app.services.notifications import push_recipients
from app.services.questions import question_lifecycle
from app.services.questions.answer_validation import text_of

OPEN: ColumnElement[bool] = RunCommand.status.in_(
    [constant(status) for status in (CommandStatus.ACCEPTED, CommandStatus.DELIVERED)]
)
# The reason of commands that were open when the run's agent had ended.
AGENT_ENDED_REASON = "The run's agent has ended."
# The reason of a `close` that an earlier agent has obeyed and the next one gets too, to end after its turn.
REPEATED_REASON = "An earlier agent of the run has obeyed it."
# The reason of messages that a person took out of the queue.
CLEARED_REASON = "cleared"
# The longest time from the last heartbeat of a worker to the sweep that finds that it was lost.
_UNREAD = timedelta(seconds=75)
# The reason of commands that must not reach a later agent of the run.
_OVER_REASON = "It was over before the run was repeated."
_IS_OVER = (CommandStatus.CONSUMED, CommandStatus.DROPPED)
_BATCH = 1000
# The commands that are sent again to an agent that starts from nothing.
_SENT_AGAIN = (CommandMethod.USER_MESSAGE, CommandMethod.SET_CONFIG_OPTION, CommandMethod.CLOSE)


class StepResult(Enum):
    """The result of a worker's change to a run that it performs, such as storing a question or ending the agent."""

    DONE = auto()
    # There is a command that the worker has not read; nothing has changed.
    NEWS = auto()
    # The owner has lost the run; nothing has changed.
    LOST = auto()


class CommandRow(NamedTuple):
    id: UUID
    position: int
    method: CommandMethod
    params: JsonDict
    rpc_id: Any
    reason: str | None

    @property
    def is_cleared(self) -> bool:
        """Whether a person took the message out of the queue; the process that did so has published the receipt."""
        return self.reason == CLEARED_REASON

    @property
    def receipt_of_drop(self) -> JsonDict:
        """The log entry that reports this dropped command."""
        return receipt(self, CommandStatus.DROPPED, self.reason, self.rpc_id)


class _Dropped(NamedTuple):
    run_id: UUID
    command: CommandRow


class _DroppedOfRun(NamedTuple):
    project_id: int
    task_id: UUID
    run_id: UUID
    command: CommandRow


_COLUMNS = [getattr(RunCommand, name) for name in CommandRow._fields]


async def read_accepted(session: AsyncSession, run_id: UUID, *, after: int) -> Sequence[CommandRow]:
    """Return the oldest thousand commands to a run that no agent has received yet, with a position after `after`."""
    statement = (
        select(*_COLUMNS)
        .where(
            RunCommand.run_id == run_id,
            RunCommand.status == constant(CommandStatus.ACCEPTED),
            RunCommand.position > after,
        )
        .order_by(RunCommand.position)
        .limit(_BATCH)
    )
    return await rows_of(session, statement, CommandRow)


async def settle(
    session: AsyncSession,
    run_id: UUID,
    command_id: UUID,
    status: CommandStatus,
    *,
    owner: str,
    reason: str | None = None,
) -> bool:
    """Record the progress of a command to an agent. `reason` says why it is dropped or held back, or what it ended.

    Return False, with nothing changed, if the command was consumed or dropped in another way, or the job `owner` has
    lost the run. If the worker does not know whether the commit succeeded, it repeats the call, which returns True too.
    """
    # With the run locked: a restart that commits meanwhile would not give the command to the next agent.
    if await _lock_unless_news(session, run_id, owner=owner, seen=None) is StepResult.LOST:
        return False
    is_over = status in _IS_OVER
    settled = await session.scalar(
        update(RunCommand)
        .where(
            RunCommand.id == command_id,
            OPEN | ((RunCommand.status == status) & RunCommand.reason.is_not_distinct_from(reason)),
        )
        .values(status=status, reason=reason, settled_at=utcnow() if is_over else None)
        .returning(RunCommand.id)
    )
    return settled is not None


async def start_waiting(
    session: AsyncSession, run_id: UUID, asked: ShownQuestion, *, owner: str, seen: int | None
) -> StepResult:
    """Store a question of a run's agent, show it in the run's state, and notify people (contract 7.2).

    `seen` is the position of the last command that the worker has read; None: later ones do not matter. The result is
    `DONE` also if the question was stored by an earlier call.
    """
    result = await _lock_unless_news(session, run_id, owner=owner, seen=seen)
    if result is not StepResult.DONE:
        return result
    if not await question_lifecycle.open_question(session, run_id, asked):
        return result
    await push_recipients.notify_people(session, NotificationKind.AWAITING, [run_id], question_id=asked.id)
    return result


async def notify_user(
    session: AsyncSession, run_id: UUID, message: AgentMessage, *, owner: str
) -> MessageOutcome | None:
    """Decide whether to send a message of the run's agent to people as a push; store and return the decision.

    None: the job `owner` has lost the run. The worker repeats the call, in a new transaction, if it does not know
    whether the commit succeeded: the second call waits for the first and returns its decision.
    """
    if await _lock_unless_news(session, run_id, owner=owner, seen=None) is StepResult.LOST:
        return None
    outcome = await push_recipients.notify_for_agent(session, run_id, message)
    # One of the readers is the worker's loop that sends pushes.
    wake_readers(session)
    return outcome


async def stop_waiting(session: AsyncSession, run_id: UUID, request_id: str, *, owner: str) -> bool:
    """Close a question for which its agent no longer waits; return False if it was closed, or the run is lost."""
    if await _lock_unless_news(session, run_id, owner=owner, seen=None) is not StepResult.DONE:
        return False
    return await question_lifecycle.withdraw(session, [run_id], request_id=request_id)


async def end_agent(
    session: AsyncSession, run_id: UUID, *, owner: str, seen: int | None, reason: str
) -> StepResult:
    """Record that a run's agent ends: refuse commands, drop open ones, and withdraw questions. See `start_waiting`."""
    result = await _lock_unless_news(session, run_id, owner=owner, seen=seen)
    if result is StepResult.DONE:
        ended = without_fact(WAITING_FOR).op("||")({AGENT_ENDED: utcnow().isoformat()})
        await session.execute(update(Run).where(Run.id == run_id).values(facts=ended))
        await drop_open(session, [run_id], reason=reason)
        await question_lifecycle.withdraw(session, [run_id])
    return result


async def drop_open(
    session: AsyncSession, run_ids: Collection[UUID], *, reason: str
) -> list[tuple[UUID, JsonDict]]:
    """Drop the open commands of runs, in the transaction that ends these runs or their agents."""
    rows = await _drop(session, reason, RunCommand.run_id.in_(run_ids), OPEN)
    return [(row.run_id, row.command.receipt_of_drop) for row in rows]


async def _drop(session: AsyncSession, reason: str, *which: ColumnElement[bool]) -> list[_Dropped]:
    dropped = (
        update(RunCommand)
        .where(*which)
        .values(status=CommandStatus.DROPPED, reason=reason, settled_at=utcnow())
        .returning(RunCommand.run_id, *_COLUMNS)
    )
    return sorted(await rows_of(session, dropped, _Dropped), key=lambda row: row.command.position)


def _waits(run_id: UUID) -> tuple[ColumnElement[bool], ...]:
    # A message that has closed the agent's question is the answer that the agent waits for.
    is_answer = select(Question.id).where(Question.run_id == run_id, Question.command_id == RunCommand.id)
    return (
        RunCommand.run_id == run_id,
        RunCommand.method == CommandMethod.USER_MESSAGE,
        RunCommand.status == constant(CommandStatus.ACCEPTED),
        ~is_answer.exists(),
    )


async def read_queue(session: AsyncSession, run_id: UUID) -> Sequence[CommandRow]:
    """Return the messages that the agent of a run has not received yet, oldest first."""
    waiting = select(*_COLUMNS).where(*_waits(run_id)).order_by(RunCommand.position)
    return await rows_of(session, waiting, CommandRow)


async def clear_queue(session: AsyncSession, run_id: UUID, command_id: UUID | None) -> list[CommandRow]:
    """Drop the messages of `read_queue`, or one of them; return them. The caller holds the lock on the run's row."""
    chosen = [] if command_id is None else [RunCommand.id == command_id]
    return [row.command for row in await _drop(session, CLEARED_REASON, *_waits(run_id), *chosen)]


def receipt(
    command: Command | CommandRow, status: CommandStatus, reason: str | None, rpc_id: object
) -> JsonDict:
    """Return the log entry that reports the progress of a command."""
    params: JsonDict = {"command_id": str(command.id), "method": command.method, "status": status}
    if reason is not None:
        params["reason"] = reason
    if rpc_id is not None:
        params["id"] = rpc_id
    is_message = command.method == CommandMethod.USER_MESSAGE
    if is_message and status is CommandStatus.DROPPED and reason != CLEARED_REASON:
        # No other entry has the text of a message that the agent has not received.
        sent = command.params
        params |= {"text": text_of(sent.get("content")), "artifact_ids": sent.get("artifact_ids", [])}
    return notification_entry("_taskbeacon/command", params)


async def receipts_of_lost(
    session: AsyncSession, repeated: Collection[UUID], failed: Collection[UUID], moment: datetime
) -> dict[RunRef, list[JsonDict]]:
    """Return log entries, by run, for commands dropped when their run failed, or that people cleared just before."""
    is_cleared = (RunCommand.reason == CLEARED_REASON) & (RunCommand.settled_at >= moment - _UNREAD)
    is_dropped = RunCommand.run_id.in_(failed) & (RunCommand.settled_at >= moment)
    statement = (
        select(Run.project_id, Run.task_id, RunCommand.run_id, *_COLUMNS)
        .join(Run, Run.id == RunCommand.run_id)
        .where(
            RunCommand.run_id.in_([*repeated, *failed]),
            RunCommand.status == CommandStatus.DROPPED,
            is_cleared | is_dropped,
        )
        .order_by(RunCommand.position)
    )
    receipts: dict[RunRef, list[JsonDict]] = {}
    for row in await rows_of(session, statement, _DroppedOfRun):
        run = RunRef(row.project_id, row.task_id, row.run_id)
        receipts.setdefault(run, []).append(row.command.receipt_of_drop)
    return receipts


async def read_dropped(
    session: AsyncSession, run_id: UUID, ids: Collection[UUID], *, after: int, since: datetime
) -> Sequence[CommandRow]:
    """Return the oldest 1,000 dropped commands with these ids, or after the position `after` and the time `since`."""
    statement = (
        select(*_COLUMNS)
        .where(
            RunCommand.run_id == run_id,
            RunCommand.status == CommandStatus.DROPPED,
            RunCommand.id.in_(list(ids)) | ((RunCommand.position > after) & (RunCommand.settled_at >= since)),
        )
        .order_by(RunCommand.position)
        .limit(_BATCH)
    )
    return await rows_of(session, statement, CommandRow)


async def requeue(
    session: AsyncSession, run_ids: Collection[UUID], *, had_agent: bool, is_interactive: bool = False
) -> None:
    """Set commands back to `accepted` for the next agent of each run: those received, and those its end dropped.

    Not cancels and answers that concerned the turn of an agent that had started.
    """
    is_received = RunCommand.status.in_([CommandStatus.DELIVERED, CommandStatus.CONSUMED])
    if had_agent:
        # The next agent of a background run repeats the turn: it gets what was delivered and not consumed.
        is_over = is_received if is_interactive else RunCommand.status == CommandStatus.CONSUMED
        # A cancel with a reason concerned the whole run; any other, and an answer, a turn.
        concerned_turn = RunCommand.method.not_in(_SENT_AGAIN) & RunCommand.reason.is_(None)
        await _mark_over(session, run_ids, is_over, concerned_turn)
    # A `close` that the agent has obeyed ended the conversation after the turn. It ends the next one in the same way.
    is_obeyed = is_received & (RunCommand.method == CommandMethod.CLOSE) & RunCommand.reason.is_(None)
    await session.execute(
        update(RunCommand)
        .where(
            RunCommand.run_id.in_(run_ids),
            or_(
                is_received & RunCommand.reason.is_distinct_from(_OVER_REASON),
                (RunCommand.status == CommandStatus.DROPPED) & (RunCommand.reason == AGENT_ENDED_REASON),
            ),
        )
        .values(
            status=CommandStatus.ACCEPTED,
            settled_at=None,
            reason=case((is_obeyed, REPEATED_REASON), else_=None),
        )
    )


async def conclude(session: AsyncSession, run_id: UUID) -> None:
    """Mark the commands of a run that has ended as over, so that its next agent does not get them."""
    await _mark_over(session, [run_id], RunCommand.status.in_(_IS_OVER))


async def _mark_over(
    session: AsyncSession, run_ids: Collection[UUID], *conditions: ColumnElement[bool]
) -> None:
    is_delivered = RunCommand.status == CommandStatus.DELIVERED
    await session.execute(
        update(RunCommand)
        .where(RunCommand.run_id.in_(run_ids), *conditions)
        .values(
            status=case((is_delivered, CommandStatus.DROPPED), else_=RunCommand.status),
            reason=_OVER_REASON,
            settled_at=func.coalesce(RunCommand.settled_at, utcnow()),
        )
    )


async def files_of(session: AsyncSession, run_id: UUID, ids: Sequence[str]) -> list[ArtifactOut]:
    """Return the manifest entries of a run's files with these ids, in the order of `ids`; unknown ids are left out."""
    artifacts: Any = await session.scalar(select(Run.artifacts).where(Run.id == run_id))
    known: dict[str, ArtifactOut] = {artifact["id"]: artifact for artifact in artifacts or ()}
    return [known[artifact_id] for artifact_id in dict.fromkeys(ids) if artifact_id in known]


async def _lock_unless_news(
    session: AsyncSession, run_id: UUID, *, owner: str, seen: int | None
) -> StepResult:
    held = select(Run.id).where(*held_by(run_id, owner)).with_for_update(key_share=True)
    if await session.scalar(held) is None:
        return StepResult.LOST
    if seen is None:
        return StepResult.DONE
    # A statement after the lock sees what others committed while this transaction waited for the lock.
    news = select(func.max(RunCommand.position)).where(
        RunCommand.run_id == run_id, RunCommand.status == constant(CommandStatus.ACCEPTED)
    )
    return StepResult.NEWS if (await session.scalar(news) or 0) > seen else StepResult.DONE


async def sweep_commands(session: AsyncSession, *, kept: timedelta) -> int:
    """Delete a batch of commands that were settled, and whose runs ended, longer ago than `kept`; return how many."""
    until = utcnow() - kept
    # A subquery for each old command: for a join the planner would read all runs, even if no command is old.
    of_run = Run.id == RunCommand.run_id
    ended_at = select(Run.completed_at).where(of_run).scalar_subquery()
    # A message that is the newest activity of its task stays, since lists of activity show its text.
    shown = select(Task.activity_subject_id).join(Run, Run.task_id == Task.id).where(of_run).scalar_subquery()
    is_over = and_(ended_at <= until, shown.is_distinct_from(RunCommand.id))
    expired = and_(RunCommand.settled_at <= until, is_over)
    return await delete_batch(session, RunCommand, expired, oldest=RunCommand.settled_at)
