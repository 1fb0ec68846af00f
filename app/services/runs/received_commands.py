"""The worker's side of commands: read what people sent to a run's agent, settle it, note that the agent waits.

Each function is one step of the worker that holds the run; one that lost it changes nothing. Steps that depend on
nothing new having come lock the run's row first, as those do that send a command (services/runs/commands.py).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.session.asked import AskedQuestion
from app.clients.queue import JobQueue
from app.clock import utcnow
from app.enums import CommandMethod, CommandStatus, EventType, NotificationKind, QuestionStatus, RunStatus
from app.models import Question, Run, RunCommand
from app.schemas.staged_artifacts import ArtifactOut
from app.services.events.of_runs import record_of_run, waiting_data
from app.services.jobs import enqueue_push_delivery
from app.services.notifications import dispatch as notifications
from app.services.questions import records as questions
from app.services.run_log.events import own_entry
from app.services.runs.facts import AGENT_ENDED, WAITING_FOR, with_fact, without_fact
from app.services.runs.queue import held_by
from app.services.storage_keys import RunRef

OPEN: ColumnElement[bool] = RunCommand.status.in_([CommandStatus.ACCEPTED, CommandStatus.DELIVERED])
_RECEIPT_COLUMNS = (RunCommand.id, RunCommand.method, RunCommand.rpc_id, RunCommand.reason)
_BATCH = 1000
# What an agent that starts from nothing must be sent again.
_SENT_AGAIN = (CommandMethod.USER_MESSAGE, CommandMethod.SET_CONFIG_OPTION, CommandMethod.CLOSE)


class Attempt(Enum):
    """What became of a step that depends on nothing new having come."""

    DONE = auto()
    # A command came that the worker has not seen; nothing has changed.
    NEWS = auto()
    # The run is not the owner's any more; nothing has changed.
    LOST = auto()


async def read_accepted(session: AsyncSession, run_id: UUID, *, after: int) -> Sequence[Row[Any]]:
    """Return the commands behind a position that no agent was given, oldest first."""
    statement = (
        select(RunCommand.id, RunCommand.position, RunCommand.method, RunCommand.params, RunCommand.rpc_id)
        .where(
            RunCommand.run_id == run_id,
            RunCommand.status == CommandStatus.ACCEPTED,
            RunCommand.position > after,
        )
        .order_by(RunCommand.position)
        .limit(_BATCH)
    )
    return (await session.execute(statement)).all()


async def settle(
    session: AsyncSession,
    run_id: UUID,
    command_id: UUID,
    status: CommandStatus,
    *,
    owner: str,
    reason: str | None = None,
) -> bool:
    """Note how far a command has come; False when it is over already, or the run is not the owner's."""
    is_over = status in {CommandStatus.CONSUMED, CommandStatus.DROPPED}
    settled = await session.execute(
        update(RunCommand)
        .where(
            RunCommand.id == command_id,
            OPEN,
            RunCommand.run_id.in_(select(Run.id).where(*held_by(run_id, owner))),
        )
        .values(status=status, reason=reason, settled_at=utcnow() if is_over else None)
        .returning(RunCommand.id)
    )
    return settled.one_or_none() is not None


async def start_waiting(
    session: AsyncSession,
    run_id: UUID,
    asked: AskedQuestion,
    *,
    owner: str,
    seen: int | None,
    queue: JobQueue,
) -> Attempt:
    """Keep what the agent of a run waits for, show it in the run's state, and push it (contract 7.2, `awaiting`).

    With a position in `seen`, only if no command came behind it.
    """
    attempt = await _lock_unless_news(session, run_id, owner=owner, seen=seen)
    if attempt is not Attempt.DONE:
        return attempt
    if not await questions.open_question(session, run_id, asked):
        return attempt
    await session.execute(
        update(Run)
        .where(Run.id == run_id)
        .values(facts=with_fact(WAITING_FOR, asked.waiting_for), updated_at=utcnow())
    )
    await record_of_run(session, run_id, EventType.RUN_AWAITING_INPUT, [waiting_data(asked.waiting_for)])
    await notifications.request(session, NotificationKind.AWAITING, [run_id], question_id=asked.id)
    enqueue_push_delivery(session, queue, run_id)
    return attempt


async def stop_waiting(session: AsyncSession, run_id: UUID, request_id: str, *, owner: str) -> bool:
    """Close a question that the agent asks no more, or in vain; False when it was closed before."""
    if await _lock_unless_news(session, run_id, owner=owner, seen=None) is not Attempt.DONE:
        return False
    if not await questions.withdraw(session, [run_id], request_id=request_id):
        return False
    await show_waiting(session, run_id)
    withdrawn = waiting_data({"kind": "permission", "request_id": request_id})
    await record_of_run(session, run_id, EventType.RUN_RESUMED, [withdrawn])
    return True


async def show_waiting(session: AsyncSession, run_id: UUID) -> None:
    """Show the newest open question of a run in its state, if there is one; the run's row is locked."""
    newest = await questions.newest_waiting_for(session, run_id)
    facts = without_fact(WAITING_FOR) if newest is None else with_fact(WAITING_FOR, newest)
    await session.execute(update(Run).where(Run.id == run_id).values(facts=facts, updated_at=utcnow()))


async def withdraw_forgotten(session: AsyncSession) -> int:
    """Close open questions of runs that wait for nothing; return how many.

    Until the next release: a process of the previous one answers and ends runs without knowing of rows (ADR 62).
    """
    has_open = select(Question.id).where(Question.run_id == Run.id, Question.status == QuestionStatus.OPEN)
    waits_for_nothing = (Run.status != RunStatus.IN_PROGRESS) | ~Run.facts.has_key(WAITING_FOR)
    forgotten = await session.scalars(
        select(Run.id)
        .where(has_open.exists(), waits_for_nothing)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return len(await questions.withdraw(session, forgotten.all()))


async def end_agent(
    session: AsyncSession, run_id: UUID, *, owner: str, seen: int | None, reason: str
) -> Attempt:
    """Take no more commands for the agent, which ends; drop the open ones, and close its questions. Repeatable.

    With a position in `seen`, only if no command came behind it.
    """
    attempt = await _lock_unless_news(session, run_id, owner=owner, seen=seen)
    if attempt is Attempt.DONE:
        ended = without_fact(WAITING_FOR).op("||")({AGENT_ENDED: utcnow().isoformat()})
        await session.execute(update(Run).where(Run.id == run_id).values(facts=ended))
        await drop_open(session, [run_id], reason=reason)
        await questions.withdraw(session, [run_id])
    return attempt


async def drop_open(
    session: AsyncSession, run_ids: Collection[UUID], *, reason: str
) -> list[tuple[UUID, dict[str, Any]]]:
    """Settle the open commands of runs that are over, in the transaction that ends them.

    Returns the receipts of what was dropped, each with its run, in the order in which they were sent.
    """
    dropped = await session.execute(
        update(RunCommand)
        .where(RunCommand.run_id.in_(run_ids), OPEN)
        .values(status=CommandStatus.DROPPED, reason=reason, settled_at=utcnow())
        .returning(RunCommand.run_id, RunCommand.position, *_RECEIPT_COLUMNS)
    )
    rows = sorted(dropped.all(), key=lambda row: row.position)
    return [(row.run_id, _drop_receipt(row)) for row in rows]


def receipt(
    command_id: UUID, method: str, status: CommandStatus, *, reason: str | None = None, rpc_id: Any = None
) -> dict[str, Any]:
    """Return the log entry that reports how far a command has come, with the id that its caller gave it."""
    params: dict[str, Any] = {"command_id": str(command_id), "method": method, "status": status}
    if reason is not None:
        params["reason"] = reason
    if rpc_id is not None:
        params["id"] = rpc_id
    return own_entry("_taskbeacon/command", params)


def _drop_receipt(row: Row[Any]) -> dict[str, Any]:
    return receipt(row.id, row.method, CommandStatus.DROPPED, reason=row.reason, rpc_id=row.rpc_id)


async def receipts_since(
    session: AsyncSession, run_ids: Collection[UUID], moment: datetime
) -> dict[RunRef, list[dict[str, Any]]]:
    """Return the receipts of what was dropped in these runs from a moment on, by the logs that they belong to."""
    statement = (
        select(Run.project_id, Run.task_id, RunCommand.run_id, *_RECEIPT_COLUMNS)
        .join(Run, Run.id == RunCommand.run_id)
        .where(
            RunCommand.run_id.in_(list(run_ids)),
            RunCommand.status == CommandStatus.DROPPED,
            RunCommand.settled_at >= moment,
        )
        .order_by(RunCommand.position)
    )
    receipts: dict[RunRef, list[dict[str, Any]]] = {}
    for row in (await session.execute(statement)).all():
        receipts.setdefault(RunRef(row.project_id, row.task_id, row.run_id), []).append(_drop_receipt(row))
    return receipts


async def read_dropped(
    session: AsyncSession, run_id: UUID, ids: Collection[UUID], *, after: int
) -> Sequence[Row[Any]]:
    """Return which of these commands, and of those behind a position, were dropped."""
    statement = (
        select(*_RECEIPT_COLUMNS)
        .where(
            RunCommand.run_id == run_id,
            RunCommand.status == CommandStatus.DROPPED,
            RunCommand.id.in_(list(ids)) | (RunCommand.position > after),
        )
        .order_by(RunCommand.position)
        .limit(_BATCH)
    )
    return (await session.execute(statement)).all()


async def requeue(session: AsyncSession, run_ids: Collection[UUID], *, had_agent: bool) -> None:
    """Have the next agent of these runs sent what this one was, which ends with all that it knows.

    What was consumed before there was an agent was to end the run, and still is.
    """
    again = RunCommand.method.in_(_SENT_AGAIN) if had_agent else true()
    sent = (RunCommand.status == CommandStatus.CONSUMED) & again
    await session.execute(
        update(RunCommand)
        .where(RunCommand.run_id.in_(run_ids), (RunCommand.status == CommandStatus.DELIVERED) | sent)
        .values(status=CommandStatus.ACCEPTED, settled_at=None)
    )


async def files_of(session: AsyncSession, run_id: UUID, ids: Sequence[str]) -> list[ArtifactOut]:
    """Return files of a run, in the order of their ids; one that is gone is left out."""
    artifacts: Any = await session.scalar(select(Run.artifacts).where(Run.id == run_id))
    known: dict[str, ArtifactOut] = {artifact["id"]: artifact for artifact in artifacts or ()}
    return [known[artifact_id] for artifact_id in dict.fromkeys(ids) if artifact_id in known]


async def _lock_unless_news(session: AsyncSession, run_id: UUID, *, owner: str, seen: int | None) -> Attempt:
    held = await session.execute(
        select(Run.id).where(*held_by(run_id, owner)).with_for_update(key_share=True)
    )
    if held.one_or_none() is None:
        return Attempt.LOST
    if seen is None:
        return Attempt.DONE
    # A statement of its own, behind the lock: it sees what was committed while the lock was waited for.
    news = select(func.max(RunCommand.position)).where(
        RunCommand.run_id == run_id, RunCommand.status == CommandStatus.ACCEPTED
    )
    return Attempt.NEWS if (await session.scalar(news) or 0) > seen else Attempt.DONE
