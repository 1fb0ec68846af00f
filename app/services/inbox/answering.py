"""Answer questions of agents: the first answer is accepted; the error for a later one contains the first (contract 15).

The answer goes to the agent as a command, in the transaction that closes the question (services/runs/commands.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.enums import AnswerVia, CommandMethod, CommandStatus, FormAction, QuestionKind, QuestionStatus
from app.errors import AlreadyAnswered, InvalidInput, QuestionChanged, QuestionClosed, StateRefused
from app.forms.errors import AnswerInvalid
from app.models import Question, RunCommand
from app.schemas.questions import ActionIn, AnsweredOut
from app.services.access.principal import Principal
from app.services.inbox.question_details import find_question, winner
from app.services.questions.answers import answer_form, describe_answer
from app.services.runs.commands import GivenAnswer, OpenQuestion
from app.services.runs.commands import answer_question as send_answer
from app.statements import Fields


@dataclass(frozen=True, slots=True)
class Origin:
    """The notification and the client that an answer by action token came from. It is stored with the question."""

    notification_id: UUID
    # The place of the option that the token names; None for a page token.
    option: int | None
    device_id: UUID | None
    address: str
    user_agent: str

    def kept(self) -> dict[str, Any]:
        """Return this origin as the JSON object to store."""
        device = None if self.device_id is None else str(self.device_id)
        return {
            "notification": str(self.notification_id),
            "option": self.option,
            "device": device,
            "address": self.address,
            "user_agent": self.user_agent,
        }


async def answer_question(
    session: AsyncSession,
    caller: Principal,
    question_id: UUID,
    body: ActionIn,
    *,
    redis: RedisClient,
    origin: Origin | None = None,
) -> AnsweredOut:
    """Answer a question as the caller; return the answer and the progress of its delivery to the agent.

    From then on, the caller follows the task. If the question has this answer already, nothing changes, and the field
    `repeated` of the result is true. `origin` says where an answer by action token came from; it is None for other
    answers.

    Raises:
        NotFound: there is no such question, or the caller cannot see it.
        InvalidInput: the answer does not fit the question, or the run acts with another member's GitHub account.
        AlreadyAnswered: the question has another answer already.
        QuestionChanged: the question is no longer as it was shown to the caller.
        QuestionClosed: the question was withdrawn or has expired.
        StateRefused: the run is in another member's private environment, or has just lost its worker.

    """
    row = await find_question(session, caller, question_id)
    answer = _read_answer(row, body, caller.answers_via if origin is None else AnswerVia.ACTION_TOKEN)
    if row["status"] != QuestionStatus.OPEN:
        return await _require_same_answer(session, row, answer, origin)
    if body.digest is not None and body.digest.lower() != row["digest"].hex():
        raise QuestionChanged
    question = OpenQuestion(row["id"], row["task_id"], row["run_id"], row["kind"], row["request_id"])
    try:
        is_first = await send_answer(session, caller, question, answer, redis=redis)
    except StateRefused:
        row = await find_question(session, caller, question_id)
        if row["status"] == QuestionStatus.OPEN:
            raise
        # The run ended while this transaction waited for its row.
        return await _require_same_answer(session, row, answer, origin)
    if is_first and origin is not None:
        kept = update(Question).where(Question.id == question_id).values(answered_from=origin.kept())
        await session.execute(kept)
    row = await find_question(session, caller, question_id)
    if not is_first:
        return await _require_same_answer(session, row, answer, origin)
    return _answer_out(row, CommandStatus.ACCEPTED)


async def _require_same_answer(
    session: AsyncSession, row: Fields, answer: GivenAnswer, origin: Origin | None
) -> AnsweredOut:
    """Return the answer of a closed question if it equals `answer`.

    Raises AlreadyAnswered or QuestionClosed otherwise.
    """
    if row["status"] != QuestionStatus.ANSWERED:
        raise QuestionClosed(winner(row))
    is_same = row["answer"] == answer.shown
    if origin is not None:
        # Only the token that gave the answer may repeat it; any other token comes too late, even with an equal answer.
        kept = row["answered_from"] or {}
        own = (str(origin.notification_id), origin.option)
        is_same = is_same and (kept.get("notification"), kept.get("option")) == own
    if not is_same:
        raise AlreadyAnswered(winner(row))
    status = await session.scalar(select(RunCommand.status).where(RunCommand.id == row["command_id"]))
    answered = _answer_out(row, CommandStatus(status or CommandStatus.CONSUMED))
    answered["repeated"] = True
    return answered


def _answer_out(row: Fields, delivery: CommandStatus) -> AnsweredOut:
    first = winner(row)
    return {
        "status": "answered",
        "answer": first["answer"],
        "answered_by": first["answered_by"],
        "answered_via": first["answered_via"],
        "answered_at": first["answered_at"],
        "delivery": delivery,
    }


def _read_answer(row: Mapping[str, Any], body: ActionIn, via: AnswerVia) -> GivenAnswer:
    """Check the answer in a request; return it for sending and storing. Raises InvalidInput."""
    method, params = _command(row, body)
    return GivenAnswer(method=method, params=params, shown=describe_answer(params), via=via)


def _command(row: Mapping[str, Any], body: ActionIn) -> tuple[CommandMethod, dict[str, Any]]:
    response, request = CommandMethod.PERMISSION_RESPONSE, {"request_id": row["request_id"]}
    match QuestionKind(row["kind"]):
        case QuestionKind.PERMISSION if body.option_id is not None:
            offered = [option["id"] for option in row["options"]]
            if body.option_id not in offered:
                raise InvalidInput(
                    f"The question offers the options {', '.join(offered)}.",
                    code="invalid_choice",
                    attr="option_id",
                )
            note = {} if body.custom_input is None else {"custom_input": body.custom_input}
            return response, {**request, "option_id": body.option_id, **note}
        case QuestionKind.FORM | QuestionKind.URL if body.action is not None:
            return response, {**request, "action": body.action, **_content(row, body)}
        case QuestionKind.MESSAGE if body.text is not None:
            return CommandMethod.USER_MESSAGE, {"content": body.text, "artifact_ids": []}
        case kind:
            needed = _NEEDED[kind]
            raise InvalidInput(f"A question of the kind {kind} takes {needed}.", attr=needed)


_NEEDED = {
    QuestionKind.PERMISSION: "option_id",
    QuestionKind.FORM: "action",
    QuestionKind.URL: "action",
    QuestionKind.MESSAGE: "text",
}


def _content(row: Mapping[str, Any], body: ActionIn) -> dict[str, Any]:
    if row["kind"] == QuestionKind.URL:
        if body.content is not None:
            raise InvalidInput("A question of the kind url takes no content.", attr="content")
        return {}
    if body.action is not FormAction.ACCEPT:
        return {}
    content = body.content or {}
    try:
        answer_form(row["detail"], row["schema"], {"action": body.action, "content": content})
    except AnswerInvalid as invalid:
        raise InvalidInput(invalid.what, attr="__".join(("content", *invalid.place))) from None
    return {"content": content}
