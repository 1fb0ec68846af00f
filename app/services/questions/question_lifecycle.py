"""Open and close questions of agents, each once, in the transaction that changes its run (contract 15).

The row alone says whether a question is open. It is closed by one conditional statement, so only the first answer is
accepted. Each opening and closing records events, and copies the newest open question to the run's facts, on the wire
`state.waiting_for`.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    bindparam,
    case,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared, Statement, rows_of
from app.dialogue.shown_questions import TITLE_CHARACTERS, ShownQuestion, shorten, waiting_for
from app.enums import (
    TERMINAL_STATUSES,
    AnswerVia,
    CommandMethod,
    CommandStatus,
    EventType,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    Urgency,
)
from app.ids import new_id
from app.json_types import JsonDict
from app.models import Question, Run, RunCommand, Task, User
from app.models.base import constant, literal_int
from app.models.runs.run_facts import WAITING_FOR, with_fact, with_missed_questions, without_fact
from app.services.events.activity_notes import note_message
from app.services.events.run_ledger import record_for_runs
from app.services.notifications import reminders
from app.services.questions.answer_validation import Answer, Origin
from app.services.questions.risk import risk_of
from app.services.views.users import CREATOR_COLUMNS, Creator

# A question with less time than this to answer is urgent.
_SHORT = timedelta(seconds=900)

_EVENT_OF = {
    QuestionStatus.ANSWERED: EventType.QUESTION_ANSWERED,
    QuestionStatus.EXPIRED: EventType.QUESTION_EXPIRED,
    QuestionStatus.WITHDRAWN: EventType.QUESTION_WITHDRAWN,
}


class AskedQuestion(NamedTuple):
    """A question of a run, open or closed, as its agent has asked it."""

    id: UUID
    kind: QuestionKind
    request_id: str
    title: str
    detail: str
    tool_call: JsonDict | None
    options: list[JsonDict]
    schema: JsonDict | None
    opened_at: datetime


class ClosedQuestion(NamedTuple):
    """A question that the current transaction has closed, with the person that answered it, if any."""

    id: UUID
    run_id: UUID
    kind: QuestionKind
    urgency: Urgency
    status: QuestionStatus
    options: list[JsonDict]
    answer: JsonDict | None
    answered_via: AnswerVia | None
    closed_at: datetime | None
    creator: Creator | None


_CLOSED_COLUMNS = [getattr(Question, name) for name in ClosedQuestion._fields[:-1]]


async def open_question(
    session: AsyncSession, run_id: UUID, question: ShownQuestion, *, urgency: Urgency | None = None
) -> bool:
    """Store an open question, with its risk and urgency; show one of an agent in the state of its run.

    Return False, with nothing changed, if it was stored before. The caller holds the lock on the run's row.
    """
    risk = _risk(question)
    urgency = urgency or _urgency(question, risk)
    of_run = {
        name: select(column).where(Run.id == run_id).scalar_subquery()
        for name, column in (("project_id", Run.project_id), ("task_id", Run.task_id))
    }
    creator = (
        select(Task.created_by_id).join(Run, Run.task_id == Task.id).where(Run.id == run_id, ~Task.deleted)
    )
    stored_id = await session.scalar(
        upsert(Question)
        .values(
            id=question.id,
            run_id=run_id,
            **of_run,
            task_creator_id=creator.scalar_subquery(),
            request_id=question.request_id,
            kind=question.kind,
            title=question.title[:TITLE_CHARACTERS],
            detail=question.shown_detail,
            tool_call=shorten(question.tool_call) or None,
            options=[
                {"id": option["optionId"], "name": option["name"], "kind": option["kind"]}
                for option in question.options
            ],
            schema=question.schema,
            url=question.url,
            risk=risk,
            urgency=urgency,
            digest=digest_of(question),
            opened_at=question.opened_at,
            expires_at=question.expires_at,
            status=QuestionStatus.OPEN,
        )
        # The worker repeats a call that was committed if the response was lost.
        .on_conflict_do_nothing(index_elements=[Question.id])
        .returning(Question.id)
    )
    if stored_id is None:
        return False
    data = {"question_id": str(question.id), "kind": question.kind, "urgency": urgency}
    events: list[tuple[EventType, Mapping[str, object]]] = [(EventType.QUESTION_OPENED, data)]
    if question.kind is not QuestionKind.VERDICT:
        await _set_waiting_for(session, run_id, question.waiting_for)
        events.append((EventType.RUN_AWAITING_INPUT, _waiting_data(question.kind, question.id)))
    await record_for_runs(session, [(run_id, type_, item) for type_, item in events])
    return True


async def close_question(
    session: AsyncSession, question_id: UUID, answer: Answer, origin: Origin
) -> ClosedQuestion | None:
    """Close an open question with its first answer, and store the command that sends it to the agent, if it has one.

    Return the closed row; None, with nothing changed, if the question was closed before. The caller holds the lock on
    the run's row.
    """
    values = {
        "question_id": question_id,
        "now": utcnow(),
        "user_id": origin.caller.user_id,
        "given_command_id": None if answer.method is None else new_id(),
        "given_answer": answer.shown,
        "given_via": origin.via,
        "given_token": None if origin.token is None else dict(origin.token),
        "given_method": answer.method,
        "given_params": answer.params,
        "given_rpc_id": origin.rpc_id,
    }
    closed = await _CLOSE.first(session, values)
    if closed is not None:
        await _announce(session, [closed], is_resumed=answer.method is not None)
    return closed


def _close_statement() -> Statement:
    def given(column: str) -> BindParameter[object]:
        return bindparam(f"given_{column}", type_=_GIVEN[column].type)

    command_id, now = given("command_id"), bindparam("now", type_=Question.closed_at.type)
    closed = (
        update(Question)
        .where(Question.id == bindparam("question_id"), Question.is_open())
        .values(
            status=constant(QuestionStatus.ANSWERED),
            closed_at=now,
            answer=given("answer"),
            answered_by_id=bindparam("user_id", type_=BigInteger),
            answered_via=given("via"),
            answered_from=given("token"),
            command_id=command_id,
        )
        .returning(*_CLOSED_COLUMNS, Question.answered_by_id, Question.task_id)
        .cte("closed")
    )
    sent = insert(RunCommand).from_select(
        ["id", "run_id", "method", "params", "rpc_id", "status", "user_id", "created_at"],
        select(
            command_id,
            closed.c.run_id,
            given("method"),
            given("params"),
            given("rpc_id"),
            constant(CommandStatus.ACCEPTED),
            closed.c.answered_by_id,
            now,
        ).where(given("method").is_not(None)),
    )
    message = note_message(
        closed.c.task_id,
        given("method") == constant(CommandMethod.USER_MESSAGE),
        at=now,
        by=closed.c.answered_by_id,
        command_id=command_id,
    )
    person = closed.outerjoin(User, User.id == closed.c.answered_by_id)
    shown = [closed.c[column.key] for column in _CLOSED_COLUMNS]
    return select(*shown, *CREATOR_COLUMNS).select_from(person).add_cte(sent.cte("sent"), message)


_GIVEN = {
    "answer": Question.answer,
    "via": Question.answered_via,
    "token": Question.answered_from,
    "command_id": Question.command_id,
    "method": RunCommand.method,
    "params": RunCommand.params,
    "rpc_id": RunCommand.rpc_id,
}
_CLOSE = Prepared(_close_statement(), ClosedQuestion)


async def withdraw(
    session: AsyncSession,
    run_ids: Collection[UUID],
    *,
    request_id: str | None = None,
    kind: QuestionKind | None = None,
) -> bool:
    """Close the open questions of runs, because nothing waits for an answer any more; return whether there were any.

    If `request_id` is given, only the question to which the agent gave this id is closed, and its run goes on; with
    `kind` only those of this kind. A question past its time limit is closed as expired instead of withdrawn.
    """
    conditions: list[ColumnElement[bool]] = [Question.run_id.in_(run_ids)]
    if request_id is not None:
        conditions.append(Question.request_id == request_id)
    if kind is not None:
        conditions.append(Question.kind == kind)
    is_late = Question.expires_at <= utcnow()
    closed = (
        update(Question)
        .where(*conditions, Question.is_open())
        .values(
            closed_at=utcnow(), status=case((is_late, QuestionStatus.EXPIRED), else_=QuestionStatus.WITHDRAWN)
        )
        # The columns about the answer are empty, because there is none.
        .returning(*_CLOSED_COLUMNS, *(null().label(column.name) for column in CREATOR_COLUMNS))
    )
    rows = sorted(await rows_of(session, closed, ClosedQuestion), key=lambda row: row.id)
    missed = [
        row for row in rows if row.status == QuestionStatus.EXPIRED and row.kind != QuestionKind.MESSAGE
    ]
    if missed:
        of_run = (Question.run_id == Run.id, Question.id.in_([row.id for row in missed]))
        more = select(func.count()).where(*of_run).scalar_subquery()
        counted = update(Run).where(Run.id.in_([row.run_id for row in missed]))
        await session.execute(counted.values(facts=with_missed_questions(more), updated_at=utcnow()))
    await _announce(session, rows, is_resumed=request_id is not None)
    return bool(rows)


async def _announce(session: AsyncSession, closed: Sequence[ClosedQuestion], *, is_resumed: bool) -> None:
    if not closed:
        return
    events: list[tuple[UUID, EventType, Mapping[str, object]]] = []
    for row in closed:
        events.append((row.run_id, _EVENT_OF[row.status], _closed_data(row)))
        if is_resumed:
            events.append((row.run_id, EventType.RUN_RESUMED, _waiting_data(row.kind, row.id)))
    await record_for_runs(session, events)
    await reminders.retract(session, [row.id for row in closed])
    if is_resumed:
        await _show_waiting(session, closed[0].run_id)


async def lock_asking(session: AsyncSession, tasks: Select[UUID]) -> Sequence[UUID]:
    """Lock the runs of `tasks` that may ask people; return their ids. The tasks are locked later, as when runs end."""
    is_asking = select(Question.id).where(Question.run_id == Run.id, Question.is_open()).exists()
    is_live = Run.status.not_in(TERMINAL_STATUSES)
    # The latest run may open a question about its work in the transaction that ends it.
    is_latest = select(Task.id).where(Task.latest_run_id == Run.id).exists()
    may_ask = select(Run.id).where(Run.task_id.in_(tasks), is_live | is_asking | is_latest)
    return (await session.scalars(may_ask.order_by(Run.id).with_for_update(key_share=True))).all()


async def leave_inboxes(session: AsyncSession, task_ids: Collection[UUID], run_ids: Collection[UUID]) -> None:
    """Withdraw the open questions of locked tasks before their deletion; remove closed ones from inboxes too."""
    if run_ids:
        await withdraw(session, run_ids)
    await session.execute(update(Question).where(Question.task_id.in_(task_ids)).values(task_creator_id=None))


async def find_by_request(session: AsyncSession, run_id: UUID, request_id: str) -> AskedQuestion | None:
    """Return a run's question, open or closed, by its id with or without hyphens; None if there is none."""
    values = {"run_id": run_id, "request_id": request_id.replace("-", "")}
    return await _BY_REQUEST.first(session, values)


_OF_RUN = select(*(getattr(Question, name) for name in AskedQuestion._fields)).where(
    Question.run_id == bindparam("run_id")
)
_BY_REQUEST = Prepared(_OF_RUN.where(Question.request_id == bindparam("request_id")), AskedQuestion)
_AWAITED_MESSAGE = Prepared(
    _OF_RUN.where(Question.is_open(), Question.kind == constant(QuestionKind.MESSAGE)).limit(literal_int(1)),
    AskedQuestion,
)
_NEWEST = Prepared(
    _OF_RUN.where(Question.is_open())
    .order_by(Question.opened_at.desc(), Question.id.desc())
    .limit(literal_int(1)),
    AskedQuestion,
)


async def find_awaited_message(session: AsyncSession, run_id: UUID) -> AskedQuestion | None:
    """Return the open question by which a run's agent waits for a message; None if it waits for none."""
    return await _AWAITED_MESSAGE.first(session, {"run_id": run_id})


async def _show_waiting(session: AsyncSession, run_id: UUID) -> None:
    row = await _NEWEST.first(session, {"run_id": run_id})
    if row is None:
        await _set_waiting_for(session, run_id, None)
        return
    options = [
        {"optionId": option["id"], "name": option["name"], "kind": option["kind"]} for option in row.options
    ]
    newest = waiting_for(
        row.kind,
        row.request_id,
        title=row.title,
        tool_call=row.tool_call or {},
        options=options,
        since=row.opened_at,
    )
    await _set_waiting_for(session, run_id, newest)


async def _set_waiting_for(session: AsyncSession, run_id: UUID, newest: JsonDict | None) -> None:
    facts = without_fact(WAITING_FOR) if newest is None else with_fact(WAITING_FOR, newest)
    await session.execute(update(Run).where(Run.id == run_id).values(facts=facts, updated_at=utcnow()))


def _waiting_data(kind: QuestionKind, question_id: UUID) -> JsonDict:
    if kind is QuestionKind.MESSAGE:
        return {"kind": "message"}
    return {"kind": "permission", "question_id": str(question_id)}


def _closed_data(row: ClosedQuestion) -> JsonDict:
    # The kind of the answer, never the content.
    data = {"question_id": str(row.id), "kind": row.kind, "urgency": row.urgency}
    if row.answer is not None and row.answered_via is not None:
        data["via"] = row.answered_via
        kinds = {option["id"]: option["kind"] for option in row.options}
        if (chosen := row.answer.get("option_id")) in kinds:
            data["option_kind"] = kinds[chosen]
    return data


def _risk(question: ShownQuestion) -> QuestionRisk:
    is_cut = question.kind is QuestionKind.PERMISSION and question.is_cut
    return QuestionRisk.HIGH if is_cut else risk_of(question.kind, question.tool_call)


def _urgency(question: ShownQuestion, risk: QuestionRisk) -> Urgency:
    if question.kind is QuestionKind.MESSAGE:
        return Urgency.LOW
    is_short = question.expires_at is not None and question.expires_at - question.opened_at < _SHORT
    return Urgency.HIGH if risk is QuestionRisk.HIGH or is_short else Urgency.NORMAL


def digest_of(question: ShownQuestion) -> bytes:
    shown = (question.request_id, question.tool_call, list(question.options), question.schema, question.url)
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).digest()
