"""Decide whether and when a push is sent, and why not (contract 16). No I/O: tests cover all rules."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.enums import NotificationDecision, QuestionStatus, Urgency
from app.services.retrying.policies import PUSH_LEASE

# Added to the expiry of a presence: a client that is late with its beat has not left yet.
LAPSE = timedelta(seconds=5)
# For this long after a person answers a question of a task, they count as present there.
ANSWER_GRACE = timedelta(seconds=10)
# A person that leaves a question open on the screen for this long may have walked away.
WALKED_AWAY = timedelta(minutes=10)
# The interval at which a retraction looks for its notice, or for the notice of the run's end.
_LOOK_AGAIN = timedelta(seconds=1)
# A push that is due within this time may already be claimed: the clock of its worker may be ahead.
_MAY_BE_CLAIMED = PUSH_LEASE + timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Watching:
    """A device that shows a task to a person, with the times of its last report and of the end of its presence."""

    device_id: UUID
    beat_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """The properties of a recipient that decide about a push notice, such as access, devices and preferences."""

    has_access: bool = True
    has_device: bool = True
    is_muted: bool = False
    is_allowed: bool = True
    wants_kind: bool = True
    # The end of the current quiet hours; None outside them.
    quiet_until: datetime | None = None
    # The classes that the quiet hours let through.
    allowed_in_quiet: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class FromAgent:
    """Marks the message of an agent; `over_limit` names the limit that its run has reached, if any."""

    over_limit: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeContext:
    """Everything that decides whether and when a push notice is sent."""

    created_at: datetime
    recipient: Recipient = Recipient()
    urgency: Urgency = Urgency.NORMAL
    # The status of the question that the notice asks, if any.
    question: QuestionStatus | None = None
    # A device of the recipient that shows the task to them.
    watching: Watching | None = None
    # A client of the recipient has shown the event.
    is_seen: bool = False
    # Set for a message of the agent.
    from_agent: FromAgent | None = None
    # The end of the cooldown that an earlier notice of the same kind and run started.
    cooldown_until: datetime | None = None
    snoozed_until: datetime | None = None
    # When the recipient last answered a question of the task.
    answered_at: datetime | None = None

    @property
    def held_until(self) -> datetime | None:
        """The end of the quiet hours that hold the notice; None if no quiet hours hold it."""
        return None if self.urgency in self.recipient.allowed_in_quiet else self.recipient.quiet_until


@dataclass(frozen=True, slots=True)
class NoticeDecision:
    """The decision about a push notice, and, if it must wait, the time at which it is decided again."""

    decision: NotificationDecision
    reason: str | None = None
    due_at: datetime | None = None
    # Sent without a sound, since the recipient has the question on the screen.
    is_quiet: bool = False

    @property
    def is_for_devices(self) -> bool:
        """Whether the decision is stored once for each device of the recipient, instead of once for the recipient."""
        return self.decision in _OF_DEVICES


_OF_DEVICES = {
    NotificationDecision.PENDING,
    NotificationDecision.DEFERRED,
    NotificationDecision.HELD_QUIET_HOURS,
    NotificationDecision.NOT_NEEDED,
}


def decide(context: NoticeContext, now: datetime, *, is_reminder: bool = False) -> NoticeDecision:
    """Decide at `now` whether a notice, or a reminder of it, is sent, waits, or is dropped.

    Rules in this order: cooldown, access and preferences, need, holds. A cooldown holds the notice of a
    question, and drops any other. A reminder is sent even for a seen question, and waits for the end of quiet hours.
    """
    if final := _excess(context, now) or _refusal(context) or _need_that_is_gone(context, is_reminder):
        return final
    holds = list(_holds(context, now))
    if is_reminder and context.held_until is not None:
        holds.append(("quiet_hours", context.held_until))
    # Of several holds, the one that ends last counts.
    held = max(holds, key=lambda hold: hold[1], default=None)
    if held is not None:
        return NoticeDecision(NotificationDecision.DEFERRED, held[0], held[1])
    if context.held_until is not None:
        return NoticeDecision(NotificationDecision.HELD_QUIET_HOURS, "quiet_hours", context.held_until)
    is_quiet = context.watching is not None and not is_reminder
    return NoticeDecision(NotificationDecision.PENDING, is_quiet=is_quiet)


def _excess(context: NoticeContext, now: datetime) -> NoticeDecision | None:
    if context.from_agent and context.from_agent.over_limit:
        return NoticeDecision(NotificationDecision.THROTTLED, context.from_agent.over_limit)
    if context.question is None and context.cooldown_until is not None and context.cooldown_until > now:
        return NoticeDecision(NotificationDecision.COOLED_DOWN)
    return None


def _refusal(context: NoticeContext) -> NoticeDecision | None:
    recipient = context.recipient
    if not recipient.has_access:
        return NoticeDecision(NotificationDecision.NO_ACCESS)
    if recipient.is_muted:
        return NoticeDecision(NotificationDecision.MUTED, "task_muted")
    if context.from_agent and not recipient.is_allowed:
        return NoticeDecision(NotificationDecision.MUTED, "project_off")
    if not recipient.wants_kind:
        return NoticeDecision(NotificationDecision.MUTED, "kind_off")
    if not recipient.has_device:
        return NoticeDecision(NotificationDecision.NO_TOKEN)
    return None


def _need_that_is_gone(context: NoticeContext, is_reminder: bool) -> NoticeDecision | None:
    if context.question is not None and not context.question.is_open:
        return NoticeDecision(NotificationDecision.NOT_NEEDED, context.question.value)
    if context.from_agent and context.watching is not None:
        # The person can read it in the task.
        return NoticeDecision(NotificationDecision.SUPPRESSED, "presence")
    # A person who snoozes a question has seen it, and wants its notice all the same.
    is_seen = context.is_seen and context.snoozed_until is None and not is_reminder
    return NoticeDecision(NotificationDecision.NOT_NEEDED, "seen") if is_seen else None


def _holds(context: NoticeContext, now: datetime) -> Iterator[tuple[str, datetime]]:
    if context.watching is not None:
        until = context.watching.expires_at + LAPSE
        if context.question is not None:
            # Then it is sent all the same, as a quiet reminder.
            until = min(until, context.created_at + WALKED_AWAY)
        if until > now:
            yield "presence", until
    until_by_reason = {
        "answer_grace": context.answered_at and context.answered_at + ANSWER_GRACE,
        "cooldown": context.cooldown_until,
        "snoozed": context.snoozed_until,
    }
    for reason, moment in until_by_reason.items():
        if moment is not None and moment > now:
            yield reason, moment


@dataclass(frozen=True, slots=True)
class ReplacedNotice:
    """The notice that a reminder or retraction replaces. `due_at` is None if it is not sent any more."""

    # True also if a device only may show it.
    is_shown: bool
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunEndNotice:
    """The notice of a run's end on a device, which replaces the notice of a question of the run there."""

    is_sent: bool
    # None: it will not be sent.
    due_at: datetime | None


def decide_reminder(context: NoticeContext, replaced: ReplacedNotice, now: datetime) -> NoticeDecision:
    """Decide at `now` whether the reminder of an open question is sent, waits, or is dropped."""
    if not replaced.is_shown:
        return NoticeDecision(NotificationDecision.NOT_NEEDED, "not_shown")
    return decide(context, now, is_reminder=True)


def decide_retraction(
    question: QuestionStatus, replaced: ReplacedNotice, end: RunEndNotice | None, now: datetime
) -> NoticeDecision:
    """Decide at `now` whether the notice of a closed question is retracted, or replaced by that of its run's end."""
    if not replaced.is_shown and replaced.due_at is None:
        return NoticeDecision(NotificationDecision.NOT_NEEDED, "not_shown")
    # The notice may still be sent, or sent again: the retraction waits, so that it arrives last.
    if not replaced.is_shown or (replaced.due_at is not None and replaced.due_at <= now + _MAY_BE_CLAIMED):
        return NoticeDecision(NotificationDecision.DEFERRED, "not_sent", now + _LOOK_AGAIN)
    if end is not None and end.is_sent:
        return NoticeDecision(NotificationDecision.RETRACTED, "replaced")
    # If the notice of the run's end is due soon, it replaces this one; if it is held back, retract the old buttons now.
    if end is not None and end.due_at is not None and end.due_at <= now + _MAY_BE_CLAIMED:
        return NoticeDecision(NotificationDecision.DEFERRED, "end_of_run", now + _LOOK_AGAIN)
    return NoticeDecision(NotificationDecision.PENDING, question.value)
