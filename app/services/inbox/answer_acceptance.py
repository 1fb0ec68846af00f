"""Accept the answers of members to questions, and act upon those about work (contract 15.3, 15.14)."""

from functools import partial
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import rows_of
from app.dialogue.forms import AnswerInvalid
from app.enums import CommandStatus, QuestionKind, QuestionStatus, VerdictAnswer, VerdictReason
from app.errors import AlreadyAnswered, InvalidInput, QuestionChanged, QuestionClosed, StateRefused
from app.models import Run, RunCommand, Verification
from app.schemas.questions import ActionIn, AnsweredOut
from app.schemas.runs.run import RunIn
from app.schemas.runs.verifications import VerificationOut, WaiveIn
from app.services.access.principal import Principal
from app.services.access.usage_gates import GatedWork
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.inbox.inbox_questions import QuestionRow, require_question, winner
from app.services.opened_clients import ServiceClients
from app.services.questions.answer_validation import Answer, Origin, read_answer
from app.services.questions.question_lifecycle import ClosedQuestion, close_question
from app.services.runs.new_runs import require_new_run_allowance, start_cloud_run
from app.services.runs.run_authority import lock_run, lock_to_steer
from app.services.runs.verification_attempts.verification_requests import waive
from app.services.tasks.follows import follow_if_visible
from app.services.views.verification_texts import repair_message
from app.verdicts.definitions import StoredDefinitions, read_definitions

# A longer message with which work is sent back is cut, since the state of the new run holds it.
_MESSAGE_CHARACTERS = 200_000

_WAS_CANCELLED = Verification.shown["reasons"].contains([{"code": VerdictReason.CANCELLED}])


def prepare_answer(
    session: AsyncSession, caller: Principal, question_id: UUID, body: ActionIn, clients: ServiceClients
) -> GatedWork[AnsweredOut]:
    """Return the answer of the caller to a question behind the usage gates of the run that it may start."""
    arguments = (session, caller, question_id, body, clients)
    return GatedWork(partial(require_answer_allowance, *arguments), partial(answer_question, *arguments))


async def answer_question(
    session: AsyncSession, caller: Principal, question_id: UUID, body: ActionIn, clients: ServiceClients
) -> AnsweredOut:
    """Answer a question as the caller, who follows the task from then on. Raises StateRefused."""
    question = await require_question(session, caller, question_id)
    return await accept_answer(session, question, body, Origin(caller, caller.answers_via), clients)


async def require_answer_allowance(
    session: AsyncSession, caller: Principal, question_id: UUID, body: ActionIn, clients: ServiceClients
) -> None:
    """Check that the usage gates allow the run that this answer starts, if it starts one; may commit, as they need."""
    if clients.gates and body.option_id == VerdictAnswer.SEND_BACK:
        question = await require_question(session, caller, question_id)
        if question.kind is QuestionKind.VERDICT:
            await require_new_run_allowance(session, caller, question.task_id, RunIn(), clients)


async def accept_answer(
    session: AsyncSession, question: QuestionRow, body: ActionIn, origin: Origin, clients: ServiceClients
) -> AnsweredOut:
    """Close a question with its first answer, or repeat that. Raises InvalidInput, QuestionSettled, StateRefused."""
    caller, task_id, run_id = origin.caller, question.task_id, question.run_id
    is_verdict = question.kind is QuestionKind.VERDICT
    if is_verdict and question.status.is_open:
        # Read again under the lock: a new verification of the work may have changed the question, and its digest.
        _ = await lock_run(session, caller, task_id, run_id)
        question = await require_question(session, caller, question.id)
    answer = _read_answer(question, body)
    if question.status.is_open:
        if body.digest is not None and body.digest.lower() != question.digest.hex():
            raise QuestionChanged
        try:
            if not is_verdict:
                _ = await lock_to_steer(session, caller, task_id, run_id)
            closed = await close_question(session, question.id, answer, origin)
        except StateRefused:
            question = await require_question(session, caller, question.id)
            if question.status.is_open:
                raise
            # The run ended while this transaction waited for its row.
        else:
            if closed is not None:
                await follow_if_visible(session, caller, task_id)
                if is_verdict:
                    return await _act_upon(session, closed, question, answer, caller, clients)
                wake_run_worker_after_commit(session, clients.redis, run_id)
                return _answer_out(closed, CommandStatus.ACCEPTED)
            question = await require_question(session, caller, question.id)
    return await _require_same_answer(session, question, answer, origin)


def _read_answer(question: QuestionRow, body: ActionIn) -> Answer:
    try:
        return read_answer(question, dict(body))
    except AnswerInvalid as invalid:
        attr = "__".join((invalid.field or "", *invalid.place))
        raise InvalidInput(invalid.what, code=invalid.code, attr=attr) from None


async def _require_same_answer(
    session: AsyncSession, question: QuestionRow, answer: Answer, origin: Origin
) -> AnsweredOut:
    if question.status is not QuestionStatus.ANSWERED:
        raise QuestionClosed(extra=winner(question))
    is_same = question.answer == answer.shown
    if origin.token is not None:
        # Only the token that gave the answer may repeat it; any other token comes too late, even with an equal answer.
        answered_from = question.answered_from or {}
        is_same = is_same and all(
            answered_from.get(name) == origin.token[name] for name in ("notification", "option")
        )
    if not is_same:
        raise AlreadyAnswered(extra=winner(question))
    if question.kind is QuestionKind.VERDICT:
        answered = _answer_out(question, None, run_id=await _find_started(session, question))
    else:
        status = await session.scalar(select(RunCommand.status).where(RunCommand.id == question.command_id))
        answered = _answer_out(question, CommandStatus(status or CommandStatus.CONSUMED))
    answered["repeated"] = True
    return answered


def _answer_out(
    question: QuestionRow | ClosedQuestion, delivery: CommandStatus | None, *, run_id: UUID | None = None
) -> AnsweredOut:
    answered = {"status": "answered", **winner(question), "delivery": delivery}
    return cast("AnsweredOut", answered if run_id is None else answered | {"run_id": run_id})


async def _act_upon(
    session: AsyncSession,
    closed: ClosedQuestion,
    question: QuestionRow,
    answer: Answer,
    caller: Principal,
    clients: ServiceClients,
) -> AnsweredOut:
    task_id, run_id, text = question.task_id, question.run_id, answer.params.get("custom_input")
    if answer.params["option_id"] == VerdictAnswer.WAIVE:
        await waive(session, caller, task_id, run_id, WaiveIn(reason=text))
        return _answer_out(closed, None)
    message = "\n\n".join(filter(None, (await _repair_message(session, run_id), text)))
    body = RunIn(resume_from_run_id=run_id, pending_user_message=message)
    task = await start_cloud_run(session, caller, task_id, body, clients)
    assert task["latest_run"] is not None
    return _answer_out(closed, None, run_id=task["latest_run"]["id"])


class _Checked(NamedTuple):
    shown: VerificationOut
    definitions: StoredDefinitions | None


async def _repair_message(session: AsyncSession, run_id: UUID) -> str:
    newest = (
        select(Verification.shown, Verification.definitions)
        .where(Verification.run_id == run_id, Verification.finished_at.is_not(None), ~_WAS_CANCELLED)
        .order_by(Verification.attempt.desc())
        .limit(1)
    )
    shown, definitions = (await rows_of(session, newest, _Checked))[0]
    message = repair_message(
        shown, read_definitions(definitions), attempt=shown["attempt"], attempts=shown["attempts"]
    )
    return message[:_MESSAGE_CHARACTERS]


async def _find_started(session: AsyncSession, question: QuestionRow) -> UUID | None:
    # One transaction stored the answer and then its run, and no other run of the task could begin in between.
    started = select(Run.id).where(
        Run.task_id == question.task_id,
        Run.state["resume_from_run_id"].astext == str(question.run_id),
        Run.created_at >= question.closed_at,
    )
    return await session.scalar(started.order_by(Run.created_at, Run.id).limit(1))
