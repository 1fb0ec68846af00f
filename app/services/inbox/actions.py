"""Answer a question by the action token in a notification, without an API key (contract 15).

NotFound is raised for a token that is forged or too old, or belongs to a person who may no longer answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from pydantic import SecretStr
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient
from app.enums import ActionTokens, QuestionRisk, QuestionStatus
from app.errors import InvalidInput, NotFound, PermissionDenied, QuestionChanged
from app.models import Notification, PushToken, Question
from app.schemas.questions import ActionIn, AnsweredOut
from app.services.access.authenticate import find_member
from app.services.access.principal import Principal
from app.services.action_tokens import ActionClaims, read
from app.services.inbox.answering import Origin, answer_question
from app.services.inbox.question_details import find_question
from app.statements import Fields, Prepared

# Any token may refuse, since that is safe.
_REJECT = "reject_once"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenSender:
    """The client that sends an action token: its network address, its user agent, and whether it also proves who it is.

    `has_key` is True if the request also has an API key or a console session of the person that the token acts for.
    """

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
    question: Fields
    # The risk up to which a token alone answers.
    limit: ActionTokens

    @property
    def option(self) -> Mapping[str, Any] | None:
        """The option that the token answers the question with.

        It is None if the token only opens the page of the question.

        Raises:
            QuestionChanged: the question does not offer this option any more.

        """
        place, options = self.claims.option, self.question["options"]
        if place is None:
            return None
        if place >= len(options):
            raise QuestionChanged
        chosen: Mapping[str, Any] = options[place]
        return chosen

    @property
    def offered(self) -> Sequence[Mapping[str, Any]]:
        """The options of the question that the token can choose.

        A token for one option can choose this option and those that reject. A token for the question's page can choose
        all.
        """
        own, options = self.option, self.question["options"]
        return [each for each in options if own is None or each == own or each["kind"] == _REJECT]

    @property
    def needs_key(self) -> bool:
        """Whether the risk of the question is too high to answer it with an action token alone, without an API key."""
        return not self.limit.covers(QuestionRisk(self.question["risk"]))


async def open_action(
    session: AsyncSession, token: str, secret_keys: Sequence[SecretStr], limit: ActionTokens
) -> Action:
    """Verify an action token; return it with its question and its person. Nothing is changed.

    A token is either for one option of a question, which it chooses, or for the page where a person answers it.

    `limit` is the highest risk of a question that a token may answer without an API key, as the operator has set it.
    It also applies to tokens that were made under a higher limit. Above it, a page token is accepted here, but `act`
    requires a key, and a token for one option is not found. If the risk is high, this accepts both, because `act`
    refuses both in words that say what is missing.

    Raises:
        NotFound: the token is forged or has expired, or action tokens are switched off.
        NotFound: the token's person cannot see the question any more, or no longer has the device that got the token.
        NotFound: the token is for one option, and the risk of the question is above `limit` and is not high.

    """
    claims = None if limit is ActionTokens.OFF else read(secret_keys, token)
    if claims is None:
        raise NotFound
    values = {"notification_id": claims.notification_id, "question_id": claims.question_id}
    sent = await _SENT.first(session, values)
    person = None if sent is None else await find_member(session, sent["user_id"], sent["project_id"])
    if sent is None or person is None:
        raise NotFound
    question = await find_question(session, person, claims.question_id)
    action = Action(claims, person, sent["device_id"], question, limit)
    if claims.option is not None and action.needs_key and question["risk"] != QuestionRisk.HIGH:
        # High risk says for itself what it needs.
        raise NotFound
    return action


_SENT = Prepared(
    select(Notification.user_id, Notification.device_id, Question.project_id)
    .join(Question, Question.run_id == Notification.run_id)
    # A device that was unregistered, or is another person's by now, answers nothing.
    .join(PushToken, (PushToken.id == Notification.device_id) & (PushToken.user_id == Notification.user_id))
    .where(Notification.id == bindparam("notification_id"), Question.id == bindparam("question_id"))
)


async def act(
    session: AsyncSession, action: Action, body: ActionIn, client: TokenSender, *, redis: RedisClient
) -> AnsweredOut:
    """Answer the question of an action token in the name of the token's person; return the answer.

    If the question already has this answer, nothing changes, and the field `repeated` of the result is true.

    Args:
        session: the database session.
        action: the verified token, from `open_action`.
        body: the answer; empty if the token is for one option, which is then the answer.
        client: the sender of the request.
        redis: wakes the worker after the commit.

    Raises:
        PermissionDenied: the risk of the question is too high for a token without an API key.
        InvalidInput: the token does not permit this answer, or the answer does not fit the question.
        AlreadyAnswered: the question has another answer already.
        QuestionChanged: the question is no longer as it was shown to the person.
        QuestionClosed: the question was withdrawn or has expired.
        StateRefused: the run is in another member's private environment, or has just lost its worker.

    """
    claims, question = action.claims, action.question
    if action.option is not None:
        body = _of_option(action, action.option["id"], body)
    is_open = question["status"] == QuestionStatus.OPEN
    if is_open and action.needs_key and not client.has_key:
        raise PermissionDenied(f"This question needs an API key: its risk is {question['risk']}.")
    if is_open and claims.digest != question["digest"]:
        raise QuestionChanged
    origin = Origin(
        claims.notification_id, claims.option, action.device_id, client.address, client.user_agent
    )
    answered = await answer_question(
        session, action.person, claims.question_id, body, redis=redis, origin=origin
    )
    log.info(
        "question.answered_by_token",
        question_id=str(claims.question_id),
        user_id=action.person.user_id,
        repeated=answered.get("repeated", False),
        **origin.kept(),
    )
    return answered


def _of_option(action: Action, option_id: str, body: ActionIn) -> ActionIn:
    if body.given_ways and body.option_id not in {option["id"] for option in action.offered}:
        raise InvalidInput("This token is for another answer.", attr="option_id")
    return body.model_copy(update={"option_id": body.option_id or option_id})
