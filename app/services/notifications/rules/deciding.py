"""The rules: whether a notice is sent, when, or why not (contract 16). Pure, so that a test can ask for everything.

A notice is decided when its event happens, and again each time that it falls due (claims.py): whatever held it back may
hold it again. A notice that was sent has a sequel, a reminder or a retraction, decided in the same way.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.enums import NotificationDecision, QuestionStatus, Urgency

# After presence has lapsed: a client that is late with its beat is not gone yet.
LAPSE = timedelta(seconds=5)
# An answer on a task, and its person is there.
ANSWER_GRACE = timedelta(seconds=10)
# A question that stays open to its person for so long: they may have walked away.
WALKED_AWAY = timedelta(minutes=10)
# How long a retraction waits for the notice of the run's end, which takes its place.
_END_OF_RUN = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(seconds=10)
# How long a push that was claimed is its worker's.
LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Watching:
    """A device that shows a task, when it last said so, and from when on that does not count."""

    device_id: UUID
    beat_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the rules know of a recipient."""

    has_access: bool = True
    has_device: bool = True
    is_muted: bool = False
    wants_kind: bool = True
    # The end of the quiet hours that it is now.
    quiet_until: datetime | None = None
    # The classes that the quiet hours let through.
    allowed_in_quiet: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules know of a notice."""

    created_at: datetime
    recipient: Recipient = Recipient()
    urgency: Urgency = Urgency.NORMAL
    # The question that the notice asks, if it does.
    question: QuestionStatus | None = None
    # A device of the recipient that shows the task to them.
    watching: Watching | None = None
    # A client of the recipient has shown the event.
    is_seen: bool = False
    # Of an earlier notice of the same kind and run.
    cooldown_until: datetime | None = None
    snoozed_until: datetime | None = None
    # When the recipient last answered a question of the task.
    answered_at: datetime | None = None

    @property
    def held_until(self) -> datetime | None:
        """When the quiet hours let go of it, if they hold it."""
        return None if self.urgency in self.recipient.allowed_in_quiet else self.recipient.quiet_until


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, why, and until when."""

    decision: NotificationDecision
    reason: str | None = None
    due_at: datetime | None = None
    # It goes out without a sound, as the one reminder of a question that is before the recipient's eyes.
    is_reminder: bool = False

    @property
    def is_for_devices(self) -> bool:
        """Whether each device has a row of its own; the others are about the recipient."""
        return self.decision in _OF_DEVICES


_OF_DEVICES = {
    NotificationDecision.PENDING,
    NotificationDecision.DEFERRED,
    NotificationDecision.HELD_QUIET_HOURS,
    NotificationDecision.NOT_NEEDED,
}


def decide(facts: Facts, now: datetime) -> Verdict:
    """Decide about a notice, in this order: may it be sent at all, is it still needed, is it held back, is it quiet.

    The cooldown comes first, as in the contract: what it swallows asks nothing else, and what it lets through uses it up,
    whatever is decided afterwards. It only postpones the notice of a question.
    """
    if facts.question is None and facts.cooldown_until is not None and facts.cooldown_until > now:
        return Verdict(NotificationDecision.COOLED_DOWN)
    if final := _refusal(facts) or _need_that_is_gone(facts):
        return final
    # Of several, the last one lets go.
    held = max(_holds(facts, now), key=lambda hold: hold[1], default=None)
    if held is not None:
        return Verdict(NotificationDecision.DEFERRED, held[0], held[1])
    if facts.held_until is not None:
        return Verdict(NotificationDecision.HELD_QUIET_HOURS, "quiet_hours", facts.held_until)
    return Verdict(NotificationDecision.PENDING, is_reminder=facts.watching is not None)


def _refusal(facts: Facts) -> Verdict | None:
    recipient = facts.recipient
    if not recipient.has_access:
        return Verdict(NotificationDecision.NO_ACCESS)
    if recipient.is_muted:
        return Verdict(NotificationDecision.MUTED, "task_muted")
    if not recipient.wants_kind:
        return Verdict(NotificationDecision.MUTED, "kind_off")
    if not recipient.has_device:
        return Verdict(NotificationDecision.NO_TOKEN)
    return None


def _need_that_is_gone(facts: Facts) -> Verdict | None:
    if facts.question is not None and facts.question is not QuestionStatus.OPEN:
        return Verdict(NotificationDecision.NOT_NEEDED, facts.question.value)
    # A person who snoozes a question has seen it, and wants its notice all the same.
    is_settled = facts.is_seen and facts.snoozed_until is None
    return Verdict(NotificationDecision.NOT_NEEDED, "seen") if is_settled else None


def _holds(facts: Facts, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield what holds a notice back now, and until when."""
    if facts.watching is not None:
        until = facts.watching.expires_at + LAPSE
        if facts.question is not None:
            # At the latest then it is a reminder.
            until = min(until, facts.created_at + WALKED_AWAY)
        if until > now:
            yield "presence", until
    until_by_reason = {
        "answer_grace": facts.answered_at and facts.answered_at + ANSWER_GRACE,
        "cooldown": facts.cooldown_until,
        "snoozed": facts.snoozed_until,
    }
    for reason, moment in until_by_reason.items():
        if moment is not None and moment > now:
            yield reason, moment


@dataclass(frozen=True, slots=True)
class RunEndNotice:
    """The notice of the end of the run to the same device, if there is one."""

    is_sent: bool
    # When it may be sent; None: it never is.
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sequel:
    """What follows a notice that was sent: a decision that needs a push, or none; or another look later."""

    decision: NotificationDecision | None = None
    reason: str | None = None
    needs_push: bool = False
    look_again_at: datetime | None = None


NO_SEQUEL = Sequel()


def decide_sequel(facts: Facts, now: datetime, *, is_reminded: bool, end: RunEndNotice | None) -> Sequel:
    """Decide what follows a notice of a question that was sent.

    A question that closes is retracted; if its run has ended, the notice of that takes the place of the question's. One
    that stays open has one reminder.
    """
    if facts.question is not None and facts.question is not QuestionStatus.OPEN:
        return _retraction(facts.question, end, now)
    if facts.question is None or is_reminded or _refusal(facts):
        return NO_SEQUEL
    moments = [until for _, until in _holds(facts, now)]
    if facts.held_until is not None:
        moments.append(facts.held_until)
    if moments:
        return Sequel(look_again_at=max(moments))
    return Sequel(NotificationDecision.REMINDER, "still_open", needs_push=True)


def _retraction(question: QuestionStatus, end: RunEndNotice | None, now: datetime) -> Sequel:
    if end is not None and end.is_sent:
        return Sequel(NotificationDecision.RETRACTED, "replaced")
    # Beyond the lease it waits for something else than its push: the old buttons must not wait with it.
    if end is not None and end.due_at is not None and end.due_at <= now + LEASE:
        # It may be on the wire, with the end of its lease for a time.
        return Sequel(look_again_at=min(max(now, end.due_at), now + _LOOK_AGAIN) + _END_OF_RUN)
    return Sequel(NotificationDecision.RETRACTED, question.value, needs_push=True)
