"""Compose push messages: their text, buttons, data and style, and which earlier message each replaces.

See contract 16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
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


class Subject(NamedTuple):
    """The task, run and question that a push is about, and how an app is to class and group the push."""

    kind: str
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


class StoredPush(NamedTuple):
    """The state of a push in its row before it was claimed."""

    created_at: datetime
    decision: str = NotificationDecision.PENDING
    purpose: str = PushPurpose.NOTICE
    # The notice that a reminder or retraction replaces.
    replaces: UUID | None = None
    deferred_for: float | None = None
    reason: str | None = None


@dataclass(slots=True)
class PushClaim:
    """What a worker knows about a push that it has claimed, until `until`."""

    until: datetime
    # The notice, if the push was decided again.
    notice: Notice | None = None
    # The recipient has the question on the screen.
    is_quiet: bool = False
    # The number of the recipient's open questions; None: the push sets no badge.
    badge: int | None = None


# Not frozen: a frozen one with so many fields takes twice as long to make, a tenth of a worker's time for a push.
@dataclass(slots=True, kw_only=True)
class Delivery:
    """A push to one device, claimed by a worker. `token` is None if the device no longer belongs to the recipient."""

    id: UUID
    attempts: int
    user_id: int
    device_id: UUID
    platform: Platform
    body: str
    token: str | None = field(repr=False)
    subject: Subject
    stored: StoredPush
    claim: PushClaim

    @property
    def since(self) -> datetime:
        """The time from which the delay of a push counts: its event, or the end of its deferral."""
        if not self.stored.deferred_for:
            # Nearly always, and an addition of nothing takes six times as long.
            return self.stored.created_at
        return self.stored.created_at + timedelta(seconds=self.stored.deferred_for)

    @property
    def is_reminder(self) -> bool:
        """Whether it reminds of a question that its recipient has got or seen already."""
        return self.claim.is_quiet or self.stored.purpose == PushPurpose.REMINDER

    @property
    def is_retraction(self) -> bool:
        """Whether it replaces the notice of a question that is closed."""
        return self.stored.purpose == PushPurpose.RETRACTION


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes the messages of pushes from the settings of the service, such as its public URL and its keys."""

    settings: Settings = field(repr=False)

    def compose(self, delivery: Delivery) -> PushMessage:
        """Return the message of a claimed push with a token. Without a class it has no sound, buttons or link."""
        assert delivery.token is not None
        style = None
        if delivery.subject.urgency is not None:
            style = _style(delivery, delivery.subject.urgency)
            style.link, style.actions = self._link(delivery), self._actions(delivery)
        title = delivery.subject.title or self.settings.push_title
        return PushMessage(delivery.token, title, _body(delivery), _data(delivery), style, _tag(delivery))

    def _actions(self, delivery: Delivery) -> list[PushAction]:
        question = _open_question(delivery)
        if (
            question is None
            or question.kind != QuestionKind.PERMISSION
            or not self.settings.action_tokens.covers(QuestionRisk(question.risk))
        ):
            return []
        by_kind = {option["kind"]: place for place, option in reversed([*enumerate(question.options)])}
        return [
            self._action(delivery, question.options, by_kind[kind], names)
            for kind, names in _BUTTONS.items()
            if kind in by_kind
        ]

    def _action(
        self, delivery: Delivery, options: Sequence[Mapping[str, Any]], place: int, names: tuple[str, str]
    ) -> PushAction:
        id_, title = names
        token = self._token(delivery, place)
        return PushAction(id_, options[place]["id"], title, token, self._page(token))

    def _token(self, delivery: Delivery, option: int | None) -> str:
        question, question_id = _question(delivery), delivery.subject.question_id
        assert question is not None
        assert question_id is not None
        return mint(
            self.settings.secret_keys, ActionClaims(delivery.id, question_id, question.digest, option)
        )

    def _page(self, token: str) -> str | None:
        return f"{self.settings.public_url.rstrip('/')}/a/{token}" if self.settings.public_url else None

    def _link(self, delivery: Delivery) -> str | None:
        if not self.settings.public_url:
            return None
        if _open_question(delivery) is not None and self.settings.action_tokens is not ActionTokens.OFF:
            return self._page(self._token(delivery, None))
        subject = delivery.subject
        if self.settings.task_url and subject.task_id is not None and subject.project_id is not None:
            return task_page(self.settings.task_url, subject.project_id, subject.task_id)
        return self.settings.public_url


def _question(delivery: Delivery) -> NoticeQuestion | None:
    notice = delivery.claim.notice
    return notice and notice.row.question


def _open_question(delivery: Delivery) -> NoticeQuestion | None:
    notice = delivery.claim.notice
    status = notice and notice.context.question
    return notice.row.question if notice and status and status.is_open else None


def _body(delivery: Delivery) -> str:
    notice = delivery.claim.notice
    if not delivery.is_retraction or notice is None or notice.context.question is None:
        return delivery.body
    question = notice.row.question
    name = question.answered_by if question and notice.push_text is not PushText.GENERIC else None
    return closed_body(notice.context.question, name)


def _data(delivery: Delivery) -> JsonDict:
    if delivery.subject.task_id is None:
        return {}
    data: JsonDict = {"taskId": str(delivery.subject.task_id)}
    if delivery.subject.run_id is not None:
        data["taskRunId"] = str(delivery.subject.run_id)
    if delivery.subject.question_id is not None:
        data["questionId"] = str(delivery.subject.question_id)
        # An app keeps the greatest `seq` of a question and ignores late messages with a smaller one.
        data["seq"] = delivery.subject.event_seq
        if (question := _question(delivery)) is not None:
            data["digest"] = question.digest.hex()
        if delivery.is_retraction:
            data["kind"] = "clear"
    return data


def _style(delivery: Delivery, urgency: Urgency) -> PushStyle:
    # A reminder makes a sound, unless the person looks at the question.
    is_silent = delivery.is_retraction or delivery.claim.is_quiet
    return PushStyle(
        urgency=Urgency.LOW if is_silent else urgency,
        ttl_seconds=_ttl_seconds(delivery, urgency),
        badge=delivery.claim.badge,
        speaker=_AGENT if delivery.subject.title else None,
        thread=f"task:{delivery.subject.task_id}" if delivery.subject.task_id else None,
        channel=_channel(delivery, is_silent=is_silent),
        is_silent=is_silent,
        is_renewed=delivery.stored.purpose == PushPurpose.REMINDER,
    )


def _ttl_seconds(delivery: Delivery, urgency: Urgency) -> int:
    if delivery.is_retraction:
        # The rest of the question's time: until then a device that reconnects may show its notice.
        return _DAY_SECONDS
    question = _question(delivery)
    expires_at = question and question.expires_at
    if urgency is Urgency.HIGH and expires_at is not None:
        return max(0, int((expires_at - utcnow()).total_seconds()))
    return _HALF_DAY_SECONDS if urgency is Urgency.LOW else _DAY_SECONDS


def _tag(delivery: Delivery) -> str:
    # A push replaces an earlier one of this tag, also itself if it is sent twice.
    if question_id := delivery.subject.question_id or delivery.subject.earlier_question:
        return f"q:{question_id}"
    return f"n:{delivery.id}"


def _channel(delivery: Delivery, *, is_silent: bool) -> str | None:
    is_question = delivery.subject.kind == NotificationKind.AWAITING
    channel = _QUESTIONS if is_question and not is_silent else _RESULTS
    return channel if channel in (delivery.subject.channels or ()) else None
