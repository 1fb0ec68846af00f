"""Answer questions by the action tokens in notifications, without a key (contract 15.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import after_commit
from app.db.statements import Prepared
from app.enums import ActionTokens, AnswerVia, QuestionRisk, Scope
from app.errors import InvalidInput, NotFound, PermissionDenied, QuestionChanged
from app.models import Notification, PushToken, Question
from app.schemas.questions import ActionIn, AnsweredOut
from app.services.access.authentication import find_member
from app.services.access.principal import Principal, require_project
from app.services.access.scopes import require_scope
from app.services.inbox.answer_acceptance import accept_answer, require_answer_allowance
from app.services.inbox.inbox_questions import QuestionRow, require_question
from app.services.notifications.action_tokens import ActionClaims, read
from app.services.opened_clients import ServiceClients
from app.services.questions.answer_validation import Origin

# Any token may refuse, since that is safe.
_REJECT = "reject_once"

log = structlog.get_logger(__name__)


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
    # The highest risk at which a token answers without an API key.
    limit: ActionTokens

    @property
    def option(self) -> Mapping[str, object] | None:
        """The option that the token answers with; None if it only opens the question's page. Raises QuestionChanged."""
        place, options = self.claims.option, self.question.options
        if place is None:
            return None
        if place >= len(options):
            raise QuestionChanged
        chosen: Mapping[str, object] = options[place]
        return chosen

    @property
    def offered(self) -> Sequence[Mapping[str, object]]:
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
        # For a high risk, `act` says that a key is needed.
        raise NotFound
    return action


def require_holder(action: Action, holder: Principal) -> None:
    """Refuse a credential whose owner is not the token's person, or that cannot answer in this project."""
    require_project(holder)
    require_scope(holder, Scope.TASK_WRITE)
    if holder.user_id != action.person.user_id:
        raise PermissionDenied("This API key belongs to another person than the notification.")


class _Sent(NamedTuple):
    user_id: int
    device_id: UUID
    project_id: int


_SENT = Prepared(
    select(Notification.user_id, Notification.device_id, Question.project_id)
    .join(Question, Question.run_id == Notification.run_id)
    # A device that was unregistered, or now belongs to another person, cannot answer.
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
    answered = await accept_answer(session, question, body, origin, clients)
    noted = partial(
        log.info,
        "question.answered_by_token",
        question_id=str(claims.question_id),
        user_id=action.person.user_id,
        repeated=answered.get("repeated", False),
        **token,
    )
    after_commit(session, noted)
    return answered
