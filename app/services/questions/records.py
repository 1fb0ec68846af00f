"""Store questions of agents: each is opened, and closed once, in the transaction that changes its run (contract 15).

A question is closed by one conditional statement, so only the first answer is accepted. Each opening and closing
records an event. The copy of the newest open question in the run's facts, on the wire `state.waiting_for`, is written
by services/runs.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, case, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import (
    TERMINAL_STATUSES,
    AnswerVia,
    EventType,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    Urgency,
)
from app.models import Question, Run, Task
from app.services.events.run_ledger import record_for_run, record_for_runs
from app.services.notifications import closed_questions
from app.services.questions.risk import risk_of
from app.shown_question import (
    TITLE_CHARACTERS,
    ShownQuestion,
    shorten,
    waiting_for,
)

# A question with less time than this to answer is urgent.
_SHORT = timedelta(seconds=900)

_EVENT_OF = {
    QuestionStatus.ANSWERED: EventType.QUESTION_ANSWERED,
    QuestionStatus.EXPIRED: EventType.QUESTION_EXPIRED,
    QuestionStatus.WITHDRAWN: EventType.QUESTION_WITHDRAWN,
}
_CLOSED_COLUMNS = (
    Question.id,
    Question.run_id,
    Question.request_id,
    Question.kind,
    Question.urgency,
    Question.status,
    Question.options,
    Question.answer,
    Question.answered_via,
)


async def open_question(session: AsyncSession, run_id: UUID, asked: ShownQuestion) -> bool:
    """Store an open question of a run's agent, with its risk and urgency, and record the event `question.opened`.

    Return False, with nothing changed, if the question was stored before, else True. The caller holds the lock on the
    run's row.
    """
    risk = risk_of(asked.kind, asked.tool_call)
    if asked.kind is QuestionKind.PERMISSION and asked.is_cut:
        risk = QuestionRisk.HIGH
    urgency = _urgency(asked, risk)
    of_run = {
        name: select(column).where(Run.id == run_id).scalar_subquery()
        for name, column in (("project_id", Run.project_id), ("task_id", Run.task_id))
    }
    creator = (
        select(Task.created_by_id).join(Run, Run.task_id == Task.id).where(Run.id == run_id, ~Task.deleted)
    )
    kept = await session.execute(
        upsert(Question)
        .values(
            id=asked.id,
            run_id=run_id,
            **of_run,
            task_creator_id=creator.scalar_subquery(),
            request_id=asked.request_id,
            kind=asked.kind,
            title=asked.title[:TITLE_CHARACTERS],
            detail=asked.shown_detail,
            tool_call=shorten(asked.tool_call) or None,
            options=[
                {"id": option["optionId"], "name": option["name"], "kind": option["kind"]}
                for option in asked.options
            ],
            schema=asked.schema,
            url=asked.url,
            risk=risk,
            urgency=urgency,
            digest=_digest(asked),
            opened_at=asked.opened_at,
            expires_at=asked.expires_at,
            status=QuestionStatus.OPEN,
        )
        # An earlier attempt may have been committed without acknowledgement.
        .on_conflict_do_nothing(index_elements=[Question.id])
        .returning(Question.id)
    )
    if kept.one_or_none() is None:
        return False
    data = {"question_id": str(asked.id), "kind": asked.kind, "urgency": urgency}
    await record_for_run(session, run_id, EventType.QUESTION_OPENED, [data])
    return True


async def close_answered(
    session: AsyncSession,
    question_id: UUID,
    *,
    answer: Mapping[str, Any],
    user_id: int | None,
    via: AnswerVia,
    command_id: UUID,
) -> bool:
    """Close an open question with its answer; return False, with nothing changed, if it is closed already.

    Args:
        session: the transaction that also stores the command.
        question_id: the question.
        answer: the answer as people see it: `option_id`, `action` with `content`, or `text`.
        user_id: the user that answered, or None if a rule answered.
        via: how the answer arrived.
        command_id: the id of the command that sends the answer to the agent. The command itself may be stored later in
            the transaction.

    """
    closed = await _close(
        session,
        Question.id == question_id,
        status=QuestionStatus.ANSWERED,
        answer=dict(answer),
        answered_by_id=user_id,
        answered_via=via,
        command_id=command_id,
    )
    return bool(closed)


async def withdraw(
    session: AsyncSession, run_ids: Collection[UUID], *, request_id: str | None = None
) -> list[UUID]:
    """Close the open questions of these runs as withdrawn; return the ids of the closed questions.

    If `request_id` is given, only the question to which the agent gave this id is closed. A question past its time
    limit is closed as expired instead of withdrawn.
    """
    conditions: list[ColumnElement[bool]] = [Question.run_id.in_(run_ids)]
    if request_id is not None:
        conditions.append(Question.request_id == request_id)
    is_late = Question.expires_at <= utcnow()
    return await _close(
        session, *conditions, status=case((is_late, QuestionStatus.EXPIRED), else_=QuestionStatus.WITHDRAWN)
    )


async def leave_inboxes(session: AsyncSession, task_id: UUID) -> None:
    """Withdraw the open questions of a task that is to be deleted; remove all its questions from its creator's inbox.

    This locks those runs of the task that may ask a question, and waits for transactions that open one. Call it before
    the task's row is locked: transactions that end a run also lock the run first.
    """
    is_asking = select(Question.id).where(Question.run_id == Run.id, Question.is_open()).exists()
    is_live = Run.status.not_in(TERMINAL_STATUSES)
    may_ask = select(Run.id).where(Run.task_id == task_id, is_live | is_asking)
    runs = may_ask.order_by(Run.id).with_for_update(key_share=True)
    if run_ids := (await session.scalars(runs)).all():
        await withdraw(session, run_ids)
    await session.execute(update(Question).where(Question.task_id == task_id).values(task_creator_id=None))


async def find_question(session: AsyncSession, run_id: UUID, request_id: str) -> Row[Any] | None:
    """Return the row of a run's question, open or closed, by its id with or without hyphens; None if there is none.

    The row has all columns of `questions`.
    """
    statement = select(*Question.__table__.columns).where(
        Question.run_id == run_id, Question.request_id == request_id.replace("-", "")
    )
    return (await session.execute(statement)).one_or_none()


async def find_awaited_message(session: AsyncSession, run_id: UUID) -> Row[Any] | None:
    """Return the row of the open question by which a run's agent waits for a message; None if it waits for none."""
    statement = select(*Question.__table__.columns).where(
        Question.run_id == run_id, Question.is_open(), Question.kind == QuestionKind.MESSAGE
    )
    return (await session.execute(statement.limit(1))).one_or_none()


async def newest_waiting_for(session: AsyncSession, run_id: UUID) -> dict[str, Any] | None:
    """Return the newest open question of a run as clients see it in `state.waiting_for`; None if there is none."""
    statement = (
        select(Question.kind, Question.request_id, Question.tool_call, Question.options, Question.opened_at)
        .where(Question.run_id == run_id, Question.is_open())
        .order_by(Question.opened_at.desc(), Question.id.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    options = [
        {"optionId": option["id"], "name": option["name"], "kind": option["kind"]} for option in row.options
    ]
    return waiting_for(
        QuestionKind(row.kind),
        row.request_id,
        tool_call=row.tool_call or {},
        options=options,
        since=row.opened_at,
    )


async def _close(session: AsyncSession, *conditions: ColumnElement[bool], **values: Any) -> list[UUID]:
    closed = await session.execute(
        update(Question)
        .where(*conditions, Question.is_open())
        .values(closed_at=utcnow(), **values)
        .returning(*_CLOSED_COLUMNS)
    )
    rows = sorted(closed.all(), key=lambda row: row.id)
    events = [(row.run_id, _EVENT_OF[QuestionStatus(row.status)], _closed_data(row)) for row in rows]
    await record_for_runs(session, events)
    ids = [row.id for row in rows]
    if ids:
        await closed_questions.settle_closed(session, ids)
    return ids


def _closed_data(row: Row[Any]) -> dict[str, Any]:
    """Return the `data` of the event for a closed question: the kind of its answer, never the content."""
    data = {"question_id": str(row.id), "kind": row.kind, "urgency": row.urgency}
    if row.answered_via is not None:
        data["via"] = row.answered_via
        kinds = {option["id"]: option["kind"] for option in row.options}
        if (chosen := row.answer.get("option_id")) in kinds:
            data["option_kind"] = kinds[chosen]
    return data


def _urgency(asked: ShownQuestion, risk: QuestionRisk) -> Urgency:
    if asked.kind is QuestionKind.MESSAGE:
        return Urgency.LOW
    is_short = asked.expires_at is not None and asked.expires_at - asked.opened_at < _SHORT
    return Urgency.HIGH if risk is QuestionRisk.HIGH or is_short else Urgency.NORMAL


def _digest(asked: ShownQuestion) -> bytes:
    shown: Sequence[Any] = (
        asked.request_id,
        asked.tool_call,
        list(asked.options),
        asked.schema,
        asked.url,
    )
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).digest()
