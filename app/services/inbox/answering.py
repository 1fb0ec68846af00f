"""Answer questions, as a member or by the action token in a notification (contract 15.3, 15.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared, rows_of
from app.dialogue.forms import AnswerInvalid
from app.enums import (
    ActionTokens,
    AnswerVia,
    CommandStatus,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    VerdictAnswer,
    VerdictReason,
)
from app.errors import (
    AlreadyAnswered,
    InvalidInput,
    NotFound,
    PermissionDenied,
    QuestionChanged,
    QuestionClosed,
    StateRefused,
)
from app.models import Notification, PushToken, Question, Run, RunCommand, Verification
from app.schemas.questions import ActionIn, AnsweredOut
from app.schemas.runs.run import RunIn
from app.schemas.runs.verifications import WaiveIn
from app.services.access.authentication import find_member
from app.services.access.principal import Principal
from app.services.action_tokens import ActionClaims, read
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.inbox.inbox_questions import QuestionRow, require_question, winner
from app.services.opened_clients import ServiceClients
from app.services.questions.answers import Answer, Origin, read_answer
from app.services.questions.question_lifecycle import ClosedQuestion, close_question, follow
from app.services.runs.authority import lock_run, lock_to_steer
from app.services.runs.new_runs import require_new_run_allowance, start_cloud_run
from app.services.runs.verification.verification_requests import waive
from app.verification.definitions import DEFINITIONS
from app.verification.repair import repair_message

# Any token may refuse, since that is safe.
_REJECT = "reject_once"
# The longest message with which work is sent back: the state of a run holds it.
_MESSAGE_CHARACTERS = 200_000

_WAS_CANCELLED = Verification.shown["reasons"].contains([{"code": VerdictReason.CANCELLED}])

log = structlog.get_logger(__name__)


async def answer_question(
    session: AsyncSession, caller: Principal, question_id: UUID, body: ActionIn, clients: ServiceClients
) -> AnsweredOut:
    """Answer a question as the caller, who follows the task from then on. Raises StateRefused."""
    question = await require_question(session, caller, question_id)
    return await _answer(session, question, body, Origin(caller, caller.answers_via), clients)


async def require_answer_allowance(
    session: AsyncSession, caller: Principal, question_id: UUID, body: ActionIn, clients: ServiceClients
) -> None:
    """Check that the usage gates allow the run that this answer starts, if it starts one; may commit, as they need."""
    if clients.gates and body.option_id == VerdictAnswer.SEND_BACK:
        question = await require_question(session, caller, question_id)
        if question.kind is QuestionKind.VERDICT:
            await require_new_run_allowance(session, caller, question.task_id, RunIn(), clients)


async def _answer(
    session: AsyncSession, question: QuestionRow, body: ActionIn, origin: Origin, clients: ServiceClients
) -> AnsweredOut:
    try:
        answer = read_answer(question, dict(body))
    except AnswerInvalid as invalid:
        attr = "__".join((invalid.field or "", *invalid.place))
        raise InvalidInput(invalid.what, code=invalid.code, attr=attr) from None
    if question.status.is_open:
        if body.digest is not None and body.digest.lower() != question.digest.hex():
            raise QuestionChanged
        caller, task_id, run_id = origin.caller, question.task_id, question.run_id
        is_verdict = question.kind is QuestionKind.VERDICT
        lock = lock_run if is_verdict else lock_to_steer
        try:
            _ = await lock(session, caller, task_id, run_id)
            closed = await close_question(session, question.id, answer, origin)
        except StateRefused:
            question = await require_question(session, caller, question.id)
            if question.status.is_open:
                raise
            # The run ended while this transaction waited for its row.
        else:
            if closed is not None:
                await follow(session, caller, task_id)
                if is_verdict:
                    return await _act_upon(session, closed, question, answer, caller, clients)
                wake_run_worker_after_commit(session, clients.redis, run_id)
                return _answer_out(closed, CommandStatus.ACCEPTED)
            question = await require_question(session, caller, question.id)
    return await _require_same_answer(session, question, answer, origin)


async def _require_same_answer(
    session: AsyncSession, question: QuestionRow, answer: Answer, origin: Origin
) -> AnsweredOut:
    if question.status is not QuestionStatus.ANSWERED:
        raise QuestionClosed(winner(question))
    is_same = question.answer == answer.shown
    if origin.token is not None:
        # Only the token that gave the answer may repeat it; any other token comes too late, even with an equal answer.
        given = question.answered_from or {}
        is_same = is_same and all(
            given.get(name) == origin.token[name] for name in ("notification", "option")
        )
    if not is_same:
        raise AlreadyAnswered(winner(question))
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


async def _repair_message(session: AsyncSession, run_id: UUID) -> str:
    newest = (
        select(Verification.shown, Verification.definitions)
        .where(Verification.run_id == run_id, Verification.finished_at.is_not(None), ~_WAS_CANCELLED)
        .order_by(Verification.attempt.desc())
        .limit(1)
    )
    shown, definitions = (await rows_of(session, newest))[0]
    known = None if definitions is None else DEFINITIONS.validate_python(definitions)
    message = repair_message(shown, known, attempt=shown["attempt"], attempts=shown["attempts"])
    return message[:_MESSAGE_CHARACTERS]


async def _find_started(session: AsyncSession, question: QuestionRow) -> UUID | None:
    # The answer came before its run, in one transaction, in which no other run of the task could begin.
    started = select(Run.id).where(
        Run.task_id == question.task_id,
        Run.state["resume_from_run_id"].astext == str(question.run_id),
        Run.created_at >= question.closed_at,
    )
    return await session.scalar(started.order_by(Run.created_at, Run.id).limit(1))


@dataclass(frozen=True, slots=True)
class TokenSender:
    """The client that sends an action token."""

    address: str
    user_agent: str
    # Whether the request also has an API key, or a console session, of the token's person.
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """A verified action token, with the question that it can answer and the person that it answers for."""

    claims: ActionClaims
    person: Principal
    device_id: UUID | None
    question: QuestionRow
    # The risk up to which a token alone answers.
    limit: ActionTokens

    @property
    def option(self) -> Mapping[str, Any] | None:
        """The option that the token answers with; None if it only opens the question's page. Raises QuestionChanged."""
        place, options = self.claims.option, self.question.options
        if place is None:
            return None
        if place >= len(options):
            raise QuestionChanged
        chosen: Mapping[str, Any] = options[place]
        return chosen

    @property
    def offered(self) -> Sequence[Mapping[str, Any]]:
        """The options that the token can choose: its own and those that reject, or all for the question's page."""
        own, options = self.option, self.question.options
        return [each for each in options if own is None or each == own or each["kind"] == _REJECT]

    @property
    def needs_key(self) -> bool:
        """Whether the risk of the question is too high to answer it with an action token alone, without an API key."""
        return not self.limit.covers(self.question.risk)


async def open_action(
    session: AsyncSession, token: str, secret_keys: Sequence[SecretStr], limit: ActionTokens
) -> Action:
    """Verify an action token; return it with its question and its person.

    `limit` is the highest risk that a token may answer without an API key. Above it, a page token needs a key in `act`,
    and a token for one option is not found, unless the risk is high: then `act` says what is missing.
    """
    claims = None if limit is ActionTokens.OFF else read(secret_keys, token)
    if claims is None:
        raise NotFound
    values = {"notification_id": claims.notification_id, "question_id": claims.question_id}
    sent = await _SENT.first(session, values)
    person = None if sent is None else await find_member(session, sent.user_id, sent.project_id)
    if sent is None or person is None:
        raise NotFound
    question = await require_question(session, person, claims.question_id)
    action = Action(claims, person, sent.device_id, question, limit)
    if claims.option is not None and action.needs_key and question.risk != QuestionRisk.HIGH:
        # High risk says for itself what it needs.
        raise NotFound
    return action


class _Sent(NamedTuple):
    user_id: int
    device_id: UUID
    project_id: int


_SENT = Prepared(
    select(Notification.user_id, Notification.device_id, Question.project_id)
    .join(Question, Question.run_id == Notification.run_id)
    # A device that was unregistered, or is another person's by now, answers nothing.
    .join(PushToken, (PushToken.id == Notification.device_id) & (PushToken.user_id == Notification.user_id))
    .where(Notification.id == bindparam("notification_id"), Question.id == bindparam("question_id")),
    _Sent,
)


async def act(
    session: AsyncSession, action: Action, body: ActionIn, client: TokenSender, clients: ServiceClients
) -> AnsweredOut:
    """Answer the question of an action token as its person; `body` is empty if the token is for one option."""
    claims, question, option = action.claims, action.question, action.option
    if option is not None:
        if body.given_ways and body.option_id not in {each["id"] for each in action.offered}:
            raise InvalidInput("This token is for another answer.", attr="option_id")
        body = body.model_copy(update={"option_id": body.option_id or option["id"]})
    if question.status.is_open:
        if action.needs_key and not client.has_key:
            raise PermissionDenied(f"This question needs an API key: its risk is {question.risk}.")
        if claims.digest != question.digest:
            raise QuestionChanged
    token = {
        "notification": str(claims.notification_id),
        "option": claims.option,
        "device": None if action.device_id is None else str(action.device_id),
        "address": client.address,
        "user_agent": client.user_agent,
    }
    origin = Origin(action.person, AnswerVia.ACTION_TOKEN, token)
    await require_answer_allowance(session, action.person, question.id, body, clients)
    answered = await _answer(session, question, body, origin, clients)
    log.info(
        "question.answered_by_token",
        question_id=str(claims.question_id),
        user_id=action.person.user_id,
        repeated=answered.get("repeated", False),
        **token,
    )
    return answered
