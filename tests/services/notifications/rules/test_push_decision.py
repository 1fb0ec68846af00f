"""The rules of pushes: every combination of conditions, decided as contract 16 says, without contradictions.

What is expected is said here a second time, as a table of conditions, each of which names the combinations that it
decides; a combination that none decides, or that two decide differently, is a fault of the rules.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from typing import Any

import pytest

from app.enums import NotificationDecision as Decision
from app.enums import QuestionStatus, Urgency
from app.ids import new_id
from app.services.notifications.rules.push_decision import (
    ANSWER_GRACE,
    LAPSE,
    WALKED_AWAY,
    FromAgent,
    NoticeContext,
    Recipient,
    ReplacedNotice,
    RunEndNotice,
    Watching,
    decide,
    decide_reminder,
    decide_retraction,
)
from tests.support.assertions import concerning

pytestmark = pytest.mark.slow
NOW = datetime(2026, 3, 1, 23, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
QUIET_END = NOW + timedelta(hours=8)
EXPIRY = NOW + timedelta(seconds=40)
WATCHING = Watching(new_id(), beat_at=EXPIRY - MINUTE, expires_at=EXPIRY)


class Seen(Enum):
    """The state of the recipient's devices."""

    NONE = auto()
    FOCUSED = auto()
    # It was there and lapsed, or has no viewer: for the rules there is no device.
    LAPSED = auto()
    SHOWN = auto()


class Question(Enum):
    """The question of the notice; a run's end and a message of an agent have none."""

    NOTHING = auto()
    AGENT = auto()
    OPEN = auto()
    ANSWERED = auto()
    EXPIRED = auto()
    WITHDRAWN = auto()


class Wish(Enum):
    ALL = auto()
    MUTED = auto()
    KIND_OFF = auto()
    # The project's wish: it lets no agent send messages.
    PROJECT_OFF = auto()


class Age(Enum):
    """The age of the event."""

    NEW = auto()
    WALKED_AWAY = auto()


@dataclass(frozen=True)
class Case:
    seen: Seen
    question: Question
    is_quiet: bool
    allows: bool
    urgency: Urgency
    wish: Wish
    has_access: bool
    has_device: bool
    is_cooled: bool
    is_snoozed: bool
    has_just_answered: bool
    age: Age

    @property
    def is_question(self) -> bool:
        return self.question is not Question.NOTHING and self.question is not Question.AGENT

    @property
    def is_agents(self) -> bool:
        return self.question is Question.AGENT

    @property
    def is_throttled(self) -> bool:
        """Whether the run has reached the limit of messages of its agent, which is what it has for a cooldown."""
        return self.is_agents and self.is_cooled

    @property
    def is_swallowed(self) -> bool:
        return self.question is Question.NOTHING and self.is_cooled

    @property
    def is_wanted(self) -> bool:
        """Whether the recipient wants it; the project has a say in messages of agents only."""
        return self.wish is Wish.ALL or (self.wish is Wish.PROJECT_OFF and not self.is_agents)

    @property
    def is_read_on_the_screen(self) -> bool:
        """Whether it is an agent's message to a person who looks at the task."""
        return self.is_agents and self.seen is Seen.FOCUSED

    @property
    def is_settled_by_seeing(self) -> bool:
        """Whether its person has seen it, and did not ask to be notified again."""
        return self.seen is Seen.SHOWN and not self.is_snoozed

    @property
    def is_watched(self) -> bool:
        """Whether presence holds it back still."""
        walked_away = self.age is Age.WALKED_AWAY and self.is_question
        return self.seen is Seen.FOCUSED and not walked_away

    def holds(self) -> Iterator[tuple[str, datetime]]:
        """Yield what holds it back, and until when, as B.7 says."""
        if self.is_watched:
            until = EXPIRY + LAPSE
            yield "presence", min(until, self.created_at + WALKED_AWAY) if self.is_question else until
        if self.has_just_answered:
            yield "answer_grace", NOW - timedelta(seconds=3) + ANSWER_GRACE
        if self.is_cooled and not self.is_agents:
            yield "cooldown", NOW + timedelta(seconds=12)
        if self.is_snoozed:
            yield "snoozed", NOW + timedelta(hours=1)

    @property
    def created_at(self) -> datetime:
        return NOW - (WALKED_AWAY if self.age is Age.WALKED_AWAY else timedelta(seconds=1))

    def context(self) -> NoticeContext:
        status = QuestionStatus[self.question.name] if self.is_question else None
        limit = FromAgent("one_a_minute" if self.is_throttled else None) if self.is_agents else None
        return NoticeContext(
            created_at=self.created_at,
            recipient=recipient(
                self.has_access,
                self.has_device,
                self.wish,
                QUIET_END if self.is_quiet else None,
                self.urgency if self.allows else None,
            ),
            urgency=self.urgency,
            question=status,
            from_agent=limit,
            watching=WATCHING if self.seen is Seen.FOCUSED else None,
            is_seen=self.seen is Seen.SHOWN,
            cooldown_until=NOW + timedelta(seconds=12) if self.is_cooled and not self.is_agents else None,
            snoozed_until=NOW + timedelta(hours=1) if self.is_snoozed else None,
            answered_at=NOW - timedelta(seconds=3) if self.has_just_answered else None,
        )


@cache
def recipient(
    has_access: bool, has_device: bool, wish: Wish, quiet_until: datetime | None, allowed: Urgency | None
) -> Recipient:
    """Return one of few recipients: there are a hundred thousand notices to decide, and nothing changes them."""
    return Recipient(
        has_access=has_access,
        has_device=has_device,
        is_muted=wish is Wish.MUTED,
        is_allowed=wish is not Wish.PROJECT_OFF,
        wants_kind=wish is not Wish.KIND_OFF,
        quiet_until=quiet_until,
        allowed_in_quiet=[allowed] if allowed else [],
    )


BOTH = (False, True)
COMBINATIONS: Iterator[tuple[Any, ...]] = itertools.product(
    Seen, Question, BOTH, BOTH, Urgency, Wish, BOTH, BOTH, BOTH, BOTH, BOTH, Age
)
CASES = [Case(*values) for values in COMBINATIONS]


def is_to_send(case: Case) -> bool:
    """Return whether nothing stands against the notice itself."""
    may = case.has_access and case.has_device and case.is_wanted
    is_open = not case.is_question or case.question is Question.OPEN
    needed = is_open and not case.is_settled_by_seeing and not case.is_read_on_the_screen
    return may and needed and not (case.is_swallowed or case.is_throttled)


def expected(case: Case) -> set[tuple[Decision, str | None, datetime | None]]:
    """Return the decision of each condition that holds; there must be exactly one."""
    passes = not case.is_swallowed and not case.is_throttled
    reaches = case.has_access and passes
    wants = reaches and case.is_wanted
    asks = wants and case.has_device
    is_open = not case.is_question or case.question is Question.OPEN
    held = max(case.holds(), key=lambda hold: hold[1], default=None)
    is_night = case.is_quiet and not case.allows
    table: list[tuple[bool, Decision, str | None, datetime | None]] = [
        (case.is_swallowed, Decision.COOLED_DOWN, None, None),
        (case.is_throttled, Decision.THROTTLED, "one_a_minute", None),
        (not case.has_access and passes, Decision.NO_ACCESS, None, None),
        (
            reaches and case.is_agents and case.wish is Wish.PROJECT_OFF,
            Decision.MUTED,
            "project_off",
            None,
        ),
        (reaches and case.wish is Wish.MUTED, Decision.MUTED, "task_muted", None),
        (reaches and case.wish is Wish.KIND_OFF, Decision.MUTED, "kind_off", None),
        (wants and not case.has_device, Decision.NO_TOKEN, None, None),
        (asks and not is_open, Decision.NOT_NEEDED, case.question.name.lower(), None),
        (asks and case.is_read_on_the_screen, Decision.SUPPRESSED, "presence", None),
        (asks and is_open and case.is_settled_by_seeing, Decision.NOT_NEEDED, "seen", None),
    ]
    if is_to_send(case):
        table += [
            (held is not None, Decision.DEFERRED, *(held or (None, None))),
            (held is None and is_night, Decision.HELD_QUIET_HOURS, "quiet_hours", QUIET_END),
            (held is None and not is_night, Decision.PENDING, None, None),
        ]
    return {(decision, reason, due) for holds, decision, reason, due in table if holds}


def test_every_combination_is_decided_once_and_as_the_contract_says() -> None:
    assert len(CASES) == 4 * 6 * 2 * 2 * 3 * 4 * 2**5 * 2
    for case in CASES:
        decided = decide(case.context(), NOW)
        assert {(decided.decision, decided.reason, decided.due_at)} == expected(case), case


def test_what_waits_waits_for_a_moment_to_come_and_the_rest_for_none() -> None:
    """Otherwise a notice would be claimed for ever, or never again."""
    for case in CASES:
        decided = decide(case.context(), NOW)
        waits = decided.decision in {Decision.DEFERRED, Decision.HELD_QUIET_HOURS}
        assert (decided.due_at is not None and decided.due_at > NOW) == waits, case


def test_only_an_open_question_before_its_person_is_a_quiet_reminder() -> None:
    for case in CASES:
        decided = decide(case.context(), NOW)
        if decided.decision is Decision.PENDING:
            is_reminder = case.seen is Seen.FOCUSED
            assert decided.is_quiet == is_reminder, case
            assert not is_reminder or (case.question is Question.OPEN and case.age is Age.WALKED_AWAY)


def test_whatever_held_a_notice_back_lets_it_go_in_the_end() -> None:
    """Decided again each time that it falls due, with no viewer any more, every notice comes to an end."""
    for case in CASES:
        context, now = case.context(), NOW
        decided = decide(context, now)
        for _ in range(4):
            if decided.due_at is None:
                break
            now = decided.due_at
            has_lapsed = context.watching is not None and context.watching.expires_at <= now
            is_day = now >= QUIET_END
            recipient = replace(context.recipient, quiet_until=None) if is_day else context.recipient
            context = replace(context, watching=None if has_lapsed else context.watching, recipient=recipient)
            decided = decide(context, now)
        assert decided.due_at is None, case
        is_sent = decided.decision is Decision.PENDING
        assert is_sent == is_to_send(case), case


@pytest.mark.parametrize(
    ("edge", "decision"),
    [
        ({"answered_at": NOW - ANSWER_GRACE}, Decision.PENDING),
        ({"answered_at": NOW - ANSWER_GRACE + A_MOMENT}, Decision.DEFERRED),
        ({"cooldown_until": NOW}, Decision.PENDING),
        ({"cooldown_until": NOW + A_MOMENT}, Decision.DEFERRED),
        ({"snoozed_until": NOW}, Decision.PENDING),
        ({"snoozed_until": NOW + A_MOMENT}, Decision.DEFERRED),
    ],
)
def test_each_rule_ends_at_its_instant(edge: dict[str, Any], decision: Decision) -> None:
    context = NoticeContext(created_at=NOW, question=QuestionStatus.OPEN)
    assert decide(replace(context, **edge), NOW).decision is decision


# The clock of the worker that has claimed it may be ahead.
CLAIMED_UNTIL = NOW + MINUTE + timedelta(seconds=2)
SENT, WAITS, HELD, NEVER = (
    RunEndNotice(is_sent=is_sent, due_at=due_at)
    for is_sent, due_at in ((True, None), (False, CLAIMED_UNTIL), (False, QUIET_END), (False, None))
)


SHOWN, ON_THE_WIRE, NOT_SENT, TRIED_AGAIN, PUT_OFF = (
    ReplacedNotice(is_shown=is_shown, due_at=due_at)
    for is_shown, due_at in (
        (True, None), (False, NOW + MINUTE), (False, None), (True, CLAIMED_UNTIL), (True, QUIET_END),
    )
)  # fmt: skip
CLOSED = [QuestionStatus.ANSWERED, QuestionStatus.EXPIRED, QuestionStatus.WITHDRAWN]


@pytest.mark.parametrize("question", CLOSED)
def test_notice_of_a_question_that_is_closed_is_retracted_or_replaced(question: QuestionStatus) -> None:
    for replaced, end in itertools.product(
        (SHOWN, ON_THE_WIRE, NOT_SENT, TRIED_AGAIN, PUT_OFF), (None, SENT, WAITS, HELD, NEVER)
    ):
        decided = decide_retraction(question, replaced, end, NOW)

        with concerning((replaced, end)):
            if replaced is NOT_SENT:
                assert decided.decision is Decision.NOT_NEEDED
            elif replaced in {ON_THE_WIRE, TRIED_AGAIN} or end is WAITS:
                assert decided.due_at is not None
                assert NOW < decided.due_at <= NOW + MINUTE
            elif end is SENT:
                assert (decided.decision, decided.reason) == (Decision.RETRACTED, "replaced")
            else:
                assert (decided.decision, decided.reason) == (Decision.PENDING, question)


def test_reminder_of_an_open_question_is_sent_when_nothing_holds_it_back() -> None:
    for case in CASES:
        if case.question is not Question.OPEN:
            continue
        decided = decide_reminder(case.context(), SHOWN, NOW)
        may = case.has_access and case.has_device and case.is_wanted
        waits = bool(list(case.holds())) or (case.is_quiet and not case.allows)
        assert (decided.decision is Decision.PENDING) == (may and not waits), case
        assert (decided.due_at is not None) == (may and waits), case
        assert not decided.is_quiet
        assert decide_reminder(case.context(), NOT_SENT, NOW).decision is Decision.NOT_NEEDED


@pytest.mark.parametrize("question", CLOSED)
def test_closed_question_has_no_reminder(question: QuestionStatus) -> None:
    for case in CASES[::7]:
        context = replace(case.context(), question=question, from_agent=None)
        assert decide_reminder(context, SHOWN, NOW).due_at is None
        assert decide_reminder(context, SHOWN, NOW).decision is not Decision.PENDING
