"""What a push says beside its text, by its class and what it is about (contract 16)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Row

from app.clients.push import PushAction, PushMessage, PushStyle
from app.clock import utcnow
from app.config import Settings
from app.enums import (
    ActionTokens,
    NotificationDecision,
    NotificationKind,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    Urgency,
)
from app.services.action_tokens import ActionClaims, mint
from app.services.notifications.rules.facts import Notice

_DAY_SECONDS = 24 * 3600
_HALF_DAY_SECONDS = 12 * 3600
# Of each kind of option that has a button, its name for apps and its label. The names of options are the agent's words:
# one that calls its `allow_once` "Reject" would turn the button around.
_BUTTONS = {"reject_once": ("reject", "Reject"), "allow_once": ("allow", "Allow")}
_QUESTIONS, _RESULTS = "questions", "results"


class Purpose(Enum):
    """What a push is for."""

    NOTICE = auto()
    # Of a question that is still open.
    REMINDER = auto()
    # The notice of a question that is closed is replaced by a word that says so.
    RETRACTION = auto()


@dataclass(slots=True)
class Subject:
    """What a push is about, and where in the app it is shown."""

    kind: str
    project_id: int | None = None
    task_id: UUID | None = None
    run_id: UUID | None = None
    question_id: UUID | None = None
    event_seq: int | None = None
    # Its class; None: it has no style.
    urgency: str | None = None
    # The question of the same run that the device was notified of: the end of the run takes its place.
    replaces: UUID | None = None
    # Of Android, that the app has.
    channels: Sequence[str] | None = None


@dataclass(slots=True)
class Handling:
    """How far a push has come, and what it is to become."""

    decision: str = NotificationDecision.PENDING
    deferred_for: float | None = None
    lease_until: datetime | None = None
    purpose: Purpose = Purpose.NOTICE
    # Goes with the decision, once it is sent.
    reason: str | None = None
    # Whether something was sent before.
    is_sequel: bool = False
    # Of a sequel: when it was tried in vain for the first time.
    failing_since: datetime | None = None
    # What is known of a notice that was decided again.
    notice: Notice | None = None
    # How many questions wait for the recipient; None where nothing is to say so.
    badge: int | None = None


# Not frozen: with so many fields that takes twice as long to make, a tenth of what a worker does for a push.
@dataclass(slots=True)
class Delivery:
    """A claimed push; `token` is None when the device is not the recipient's any more."""

    id: UUID
    attempts: int
    user_id: int
    device_id: UUID
    platform: str
    body: str
    created_at: datetime
    token: str | None = field(repr=False)
    subject: Subject
    handling: Handling

    @property
    def since(self) -> datetime:
        """From when on it could be sent."""
        handling = self.handling
        if handling.is_sequel:
            closed_at: datetime | None = handling.notice and handling.notice.row.closed_at
            return closed_at or handling.failing_since or utcnow()
        return self.created_at + timedelta(seconds=handling.deferred_for or 0)


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes messages; its fields are settings."""

    title: str
    public_url: str | None
    action_tokens: ActionTokens
    secret_keys: Sequence[SecretStr] = field(repr=False)
    task_url: str

    @classmethod
    def of(cls, settings: Settings) -> "Composer":
        """Return the composer of a process."""
        return cls(
            settings.push_title,
            settings.public_url,
            settings.action_tokens,
            settings.secret_keys,
            settings.task_url,
        )

    def compose(self, delivery: Delivery) -> PushMessage:
        """Return the message of a claimed push that has a token; one without a class has no style."""
        assert delivery.token is not None
        style = None
        if delivery.subject.urgency is not None:
            style = _style(delivery, Urgency(delivery.subject.urgency))
            style.link, style.actions = self._link(delivery), self._actions(delivery)
        return PushMessage(delivery.token, self.title, delivery.body, _data(delivery), style)

    def _actions(self, delivery: Delivery) -> list[PushAction]:
        """Return the buttons of a question: reject left, allow right; none for what costs much, and never for ever."""
        row = _open_question(delivery)
        if row is None or row.question_kind != QuestionKind.PERMISSION or row.risk not in self._risks:
            return []
        by_kind = {option["kind"]: place for place, option in reversed([*enumerate(row.options)])}
        return [
            self._action(delivery, row.options, by_kind[kind], names)
            for kind, names in _BUTTONS.items()
            if kind in by_kind
        ]

    @property
    def _risks(self) -> Sequence[QuestionRisk]:
        match self.action_tokens:
            case ActionTokens.OFF:
                return ()
            case ActionTokens.LOW:
                return (QuestionRisk.LOW,)
            case ActionTokens.NORMAL:
                return (QuestionRisk.LOW, QuestionRisk.NORMAL)

    def _action(
        self, delivery: Delivery, options: Sequence[Mapping[str, Any]], place: int, names: tuple[str, str]
    ) -> PushAction:
        id_, title = names
        token = self._token(delivery, place)
        return PushAction(id_, options[place]["id"], title, token, self._page(token))

    def _token(self, delivery: Delivery, option: int | None) -> str:
        """Return a token that answers with an option, or opens the page; it is made for this message and stored nowhere."""
        notice, question_id = delivery.handling.notice, delivery.subject.question_id
        assert notice is not None
        assert question_id is not None
        return mint(self.secret_keys, ActionClaims(delivery.id, question_id, notice.row.digest, option))

    def _page(self, token: str) -> str | None:
        return f"{self.public_url.rstrip('/')}/a/{token}" if self.public_url else None

    def _link(self, delivery: Delivery) -> str | None:
        """Return where a message leads: to the page of its question, or to its task."""
        if not self.public_url:
            return None
        if _open_question(delivery) is not None and self.action_tokens is not ActionTokens.OFF:
            return self._page(self._token(delivery, None))
        subject = delivery.subject
        if self.task_url and subject.task_id is not None and subject.project_id is not None:
            link = self.task_url.replace("{project_id}", str(subject.project_id))
            return link.replace("{task_id}", str(subject.task_id))
        return self.public_url


def _open_question(delivery: Delivery) -> Row[Any] | None:
    """Return what is known of the question that a message asks, if it does."""
    notice = delivery.handling.notice
    if notice is None or notice.facts.question is not QuestionStatus.OPEN:
        return None
    return notice.row


def _data(delivery: Delivery) -> dict[str, Any]:
    """Return what an app needs to open the task, and to know messages about one question; nothing without a task."""
    if delivery.subject.task_id is None:
        return {}
    data: dict[str, Any] = {"taskId": str(delivery.subject.task_id)}
    if delivery.subject.run_id is not None:
        data["taskRunId"] = str(delivery.subject.run_id)
    if delivery.subject.question_id is not None:
        data["questionId"] = str(delivery.subject.question_id)
        # An app keeps the greatest of a question: what comes late with a smaller one changes nothing.
        data["seq"] = delivery.subject.event_seq
        if delivery.handling.notice is not None and delivery.handling.notice.row.digest is not None:
            data["digest"] = delivery.handling.notice.row.digest.hex()
        if delivery.handling.purpose is Purpose.RETRACTION:
            data["kind"] = "clear"
    return data


def _style(delivery: Delivery, urgency: Urgency) -> PushStyle:
    is_retraction = delivery.handling.purpose is Purpose.RETRACTION
    # The reminder of what is before a person's eyes makes no sound; one that they asked for does.
    is_silent = is_retraction or (
        delivery.handling.purpose is Purpose.REMINDER and not delivery.handling.is_sequel
    )
    return PushStyle(
        urgency=Urgency.LOW if is_silent else urgency,
        ttl_seconds=_ttl_seconds(delivery, urgency),
        badge=delivery.handling.badge,
        tag=_tag(delivery),
        thread=f"task:{delivery.subject.task_id}" if delivery.subject.task_id else None,
        channel=_channel(delivery, is_silent=is_silent),
        is_silent=is_silent,
        is_renewed=delivery.handling.is_sequel and not is_retraction,
    )


def _ttl_seconds(delivery: Delivery, urgency: Urgency) -> int:
    if delivery.handling.purpose is Purpose.RETRACTION:
        # Whatever is left of the question's time: a device that is away shows its notice until then.
        return _DAY_SECONDS
    expires_at = delivery.handling.notice and delivery.handling.notice.row.expires_at
    if urgency is Urgency.HIGH and expires_at is not None:
        return max(0, int((expires_at - utcnow()).total_seconds()))
    return _HALF_DAY_SECONDS if urgency is Urgency.LOW else _DAY_SECONDS


def _tag(delivery: Delivery) -> str | None:
    """Return what messages have in common that replace each other; the end of a run replaces its question."""
    if question_id := delivery.subject.question_id or delivery.subject.replaces:
        return f"q:{question_id}"
    return None


def _channel(delivery: Delivery, *, is_silent: bool) -> str | None:
    """Return the channel of the device that it belongs to, if the app has it; that of questions is loud."""
    is_question = delivery.subject.kind == NotificationKind.AWAITING
    wanted = _QUESTIONS if is_question and not is_silent else _RESULTS
    return wanted if wanted in (delivery.subject.channels or ()) else None
