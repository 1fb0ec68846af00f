"""Compose push messages: their text, buttons, data and style, and which earlier message each replaces.

See contract 16.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.clients.pushes.push import PushAction, PushMessage, PushStyle
from app.clock import utcnow
from app.config import Settings
from app.enums import (
    ActionTokens,
    NotificationDecision,
    NotificationKind,
    Platform,
    PushPurpose,
    PushText,
    QuestionKind,
    QuestionRisk,
    Urgency,
)
from app.json_types import JsonDict
from app.services.notifications.action_tokens import ActionClaims, mint
from app.services.notifications.notice_reading import Notice, NoticeQuestion
from app.services.notifications.push_sentences import closed_body
from app.services.views.task_links import task_page

_DAY_SECONDS = 24 * 3600
_HALF_DAY_SECONDS = 12 * 3600
# The id for apps and the label of each kind of option that has a button. The agent chooses the names of options: an
# `allow_once` with the name "Reject" would reverse the meaning of the button.
_BUTTONS = {"reject_once": ("reject", "Reject"), "allow_once": ("allow", "Allow")}
# The speaker of a text that an agent wrote.
_AGENT = "agent"
_QUESTIONS, _RESULTS = "questions", "results"


class ClaimedPush(NamedTuple):
    """A push to one device as its row was before its claim, with what its message needs of other rows."""

    id: UUID
    # The number of claims, this one included.
    attempts: int
    user_id: int
    device_id: UUID
    platform: Platform
    body: str
    # None: the device no longer belongs to the recipient.
    token: str | None
    kind: str
    created_at: datetime
    project_id: int | None = None
    task_id: UUID | None = None
    run_id: UUID | None = None
    question_id: UUID | None = None
    event_seq: int | None = None
    # The class of the push; None: it has no style.
    urgency: Urgency | None = None
    # The question of the same run that the device was notified of; the notice of the run's end takes its place.
    earlier_question: UUID | None = None
    # The title that an agent gave its message.
    title: str | None = None
    # The Android channels that the app has.
    channels: Sequence[str] | None = None
    traceparent: str | None = None
    decision: str = NotificationDecision.PENDING
    purpose: str = PushPurpose.NOTICE
    # The notice that a reminder or retraction replaces.
    replaces: UUID | None = None
    deferred_for: float | None = None
    reason: str | None = None

    @property
    def is_retraction(self) -> bool:
        """Whether it replaces the notice of a question that is closed."""
        return self.purpose == PushPurpose.RETRACTION


@dataclass(slots=True)
class Delivery:
    """A claimed push on its way to its device, with what was found out about it since its claim."""

    push: ClaimedPush = field(repr=False)
    # The end of the claim.
    until: datetime
    # The notice, if the push was decided again.
    notice: Notice | None = None
    # The recipient has the question on the screen.
    is_quiet: bool = False
    # The number of the recipient's open questions; None: the push sets no badge.
    badge: int | None = None

    @property
    def since(self) -> datetime:
        """The time from which the delay of a push counts: its event, or the end of its deferral."""
        return self.push.created_at + timedelta(seconds=self.push.deferred_for or 0)

    @property
    def is_reminder(self) -> bool:
        """Whether it reminds of a question that its recipient has got or seen already."""
        return self.is_quiet or self.push.purpose == PushPurpose.REMINDER


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes the messages of pushes from the settings of the service, such as its public URL and its keys."""

    settings: Settings = field(repr=False)

    def compose(self, delivery: Delivery) -> PushMessage:
        """Return the message of a claimed push with a token. Without a class it has no sound, buttons or link."""
        push = delivery.push
        assert push.token is not None
        style = None
        if push.urgency is not None:
            style = _style(delivery, push.urgency)
            style.link, style.actions = self._link(delivery), self._actions(delivery)
        title = push.title or self.settings.push_title
        return PushMessage(push.token, title, _body(delivery), _data(delivery), style, _tag(push))

    def _actions(self, delivery: Delivery) -> list[PushAction]:
        question = _open_question(delivery)
        if (
            question is None
            or question.kind != QuestionKind.PERMISSION
            or not self.settings.action_tokens.covers(QuestionRisk(question.risk))
        ):
            return []
        by_kind = {option["kind"]: place for place, option in reversed([*enumerate(question.options)])}
        actions = []
        for kind, (id_, title) in _BUTTONS.items():
            if (place := by_kind.get(kind)) is not None:
                token = self._token(delivery.push, question, place)
                option_id = question.options[place]["id"]
                actions.append(PushAction(id_, option_id, title, token, self._page(token)))
        return actions

    def _token(self, push: ClaimedPush, question: NoticeQuestion, option: int | None) -> str:
        assert push.question_id is not None
        claims = ActionClaims(push.id, push.question_id, question.digest, option)
        return mint(self.settings.secret_keys, claims)

    def _page(self, token: str) -> str | None:
        return f"{self.settings.public_url.rstrip('/')}/a/{token}" if self.settings.public_url else None

    def _link(self, delivery: Delivery) -> str | None:
        push, question = delivery.push, _open_question(delivery)
        if not self.settings.public_url:
            return None
        if question is not None and self.settings.action_tokens is not ActionTokens.OFF:
            return self._page(self._token(push, question, None))
        if self.settings.task_url and push.task_id is not None and push.project_id is not None:
            return task_page(self.settings.task_url, push.project_id, push.task_id)
        return self.settings.public_url


def _question(delivery: Delivery) -> NoticeQuestion | None:
    notice = delivery.notice
    return notice and notice.row.question


def _open_question(delivery: Delivery) -> NoticeQuestion | None:
    notice = delivery.notice
    status = notice and notice.context.question
    return notice.row.question if notice and status and status.is_open else None


def _body(delivery: Delivery) -> str:
    notice = delivery.notice
    if not delivery.push.is_retraction or notice is None or notice.context.question is None:
        return delivery.push.body
    question = notice.row.question
    name = question.answered_by if question and notice.push_text is not PushText.GENERIC else None
    return closed_body(notice.context.question, name)


def _data(delivery: Delivery) -> JsonDict:
    push = delivery.push
    if push.task_id is None:
        return {}
    data: JsonDict = {"taskId": str(push.task_id)}
    if push.run_id is not None:
        data["taskRunId"] = str(push.run_id)
    if push.question_id is not None:
        data["questionId"] = str(push.question_id)
        # An app keeps the greatest `seq` of a question and ignores late messages with a smaller one.
        data["seq"] = push.event_seq
        if (question := _question(delivery)) is not None:
            data["digest"] = question.digest.hex()
        if delivery.push.is_retraction:
            data["kind"] = "clear"
    return data


def _style(delivery: Delivery, urgency: Urgency) -> PushStyle:
    push = delivery.push
    # A reminder makes a sound, unless the person looks at the question.
    is_silent = delivery.push.is_retraction or delivery.is_quiet
    return PushStyle(
        urgency=Urgency.LOW if is_silent else urgency,
        ttl_seconds=_ttl_seconds(delivery, urgency),
        badge=delivery.badge,
        speaker=_AGENT if push.title else None,
        thread=f"task:{push.task_id}" if push.task_id else None,
        channel=_channel(push, is_silent=is_silent),
        is_silent=is_silent,
        is_renewed=push.purpose == PushPurpose.REMINDER,
    )


def _ttl_seconds(delivery: Delivery, urgency: Urgency) -> int:
    if delivery.push.is_retraction:
        # A device that was away may still show the notice, even when the question's own time is over.
        return _DAY_SECONDS
    question = _question(delivery)
    expires_at = question and question.expires_at
    if urgency is Urgency.HIGH and expires_at is not None:
        return max(0, int((expires_at - utcnow()).total_seconds()))
    return _HALF_DAY_SECONDS if urgency is Urgency.LOW else _DAY_SECONDS


def _tag(push: ClaimedPush) -> str:
    # A device replaces an earlier message with this tag: also the same one, if it is sent twice.
    if question_id := push.question_id or push.earlier_question:
        return f"q:{question_id}"
    return f"n:{push.id}"


def _channel(push: ClaimedPush, *, is_silent: bool) -> str | None:
    is_question = push.kind == NotificationKind.AWAITING
    channel = _QUESTIONS if is_question and not is_silent else _RESULTS
    return channel if channel in (push.channels or ()) else None
