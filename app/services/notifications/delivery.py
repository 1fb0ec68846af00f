"""Send pushes to the push services and store the results. The pushes were claimed before (claims.py)."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter as Metric
from prometheus_client import Histogram
from sqlalchemy import (
    Update,
    any_,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.push import (
    Accepted,
    BadMessage,
    Deadline,
    DeadToken,
    NotSent,
    PushMessage,
    PushOutcome,
    PushSender,
    TryLater,
)
from app.clock import utcnow
from app.enums import NotificationDecision, Platform
from app.models import Notification
from app.models.base import given_rows, literal_int
from app.services.notifications import devices
from app.services.notifications.devices import DeadDevice
from app.services.notifications.messages import Composer, Delivery, Purpose
from app.services.notifications.rules.deciding import PUSH_LEASE
from app.services.notifications.rules.decision_transitions import (
    decision_update,
    entry,
    failure_update,
)
from app.services.retrying.policies import PUSH, PUSH_SECONDS
from app.statements import Prepared

MESSAGES_PER_REQUEST = 100
# The requests of a claim share one statement before and one after them (ADR 37).
PUSHES_PER_CLAIM = 5 * MESSAGES_PER_REQUEST
# No request starts later than this after its claim. The remaining twenty seconds are enough to finish and settle any
# request, so that no push is sent twice at the same time.
SEND_WITHIN = PUSH_LEASE - timedelta(seconds=20)
# After this time Expo has the results from Apple and Google.
RECEIPT_AFTER = timedelta(minutes=15)
_MAX_REASON_LENGTH = 64

_OUTCOMES = Metric("taskbeacon_push_outcomes_total", "Attempts to push, by outcome.", ["outcome", "reason"])
_DELAY = Histogram(
    "taskbeacon_push_delay_seconds",
    "From the event to the push service's ticket.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)

log = structlog.get_logger(__name__)


# The id of a delivery with its message; a delivery with its result from the push service.
_Addressed = tuple[UUID, PushMessage]
_Outcome = tuple[Delivery, PushOutcome]
# The decision for a push that its service accepted, by its purpose.
_TAKEN = {
    Purpose.NOTICE: NotificationDecision.SENT,
    Purpose.REMINDER: NotificationDecision.REMINDER,
    Purpose.RETRACTION: NotificationDecision.RETRACTED,
}


async def send(
    senders: Mapping[Platform, PushSender],
    deliveries: Sequence[Delivery],
    *,
    composer: Composer,
    deadline: Deadline,
) -> dict[UUID, PushOutcome]:
    """Send claimed pushes concurrently to the push services of their platforms; return the outcomes by push id.

    The call returns when all pushes have an outcome. A push that cannot be sent before the deadline has the outcome
    `NOT_REACHED`, and can be sent again later. Failures of push services are outcomes too, never exceptions; so are
    errors in the composition of a message.

    Args:
        senders: the configured push services, by platform.
        deliveries: the pushes. One without a token has the outcome `BadMessage`.
        composer: makes the message of each push.
        deadline: the time after which no new request is sent to a push service.

    """
    outcomes: dict[UUID, PushOutcome] = {}
    by_sender: dict[PushSender, list[_Addressed]] = defaultdict(list)
    for delivery in deliveries:
        if delivery.token is None:
            outcomes[delivery.id] = BadMessage("TokenGone")
            continue
        try:
            sender = senders.get(Platform(delivery.platform))
            message = composer.compose(delivery)
        except Exception:
            # Not raised: the other pushes of the claim would wait for the end of their lease. A newer release may
            # know the value that this one does not.
            log.exception("push.not_composed", notification_id=str(delivery.id))
            outcomes[delivery.id] = TryLater("NotComposed")
            continue
        if sender is None:
            outcomes[delivery.id] = BadMessage("WebPushNotConfigured")
        else:
            by_sender[sender].append((delivery.id, message))
    async with asyncio.TaskGroup() as group:
        for sender, own in by_sender.items():
            for first in range(0, len(own), MESSAGES_PER_REQUEST):
                group.create_task(
                    _send(sender, own[first : first + MESSAGES_PER_REQUEST], deadline, outcomes)
                )
    return outcomes


async def _send(
    sender: PushSender,
    batch: Sequence[_Addressed],
    deadline: Deadline,
    outcomes: dict[UUID, PushOutcome],
) -> None:
    results: Sequence[PushOutcome]
    try:
        results = await sender.send([message for _, message in batch], deadline)
    except Exception as error:
        # Not raised: the other requests of the claim are under way, and their results must be stored.
        log.exception("push.unexpected_error", messages=len(batch))
        results = [TryLater(type(error).__name__, may_have_arrived=True)] * len(batch)
    outcomes |= zip((delivery_id for delivery_id, _ in batch), results, strict=True)


async def settle(
    session: AsyncSession, deliveries: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome]
) -> None:
    """Store the outcomes of claimed pushes, given by push id; delete devices with push tokens that are no longer valid.

    If another worker has claimed a push in the meantime, the outcome is not stored.
    """
    now = utcnow()
    # In one order everywhere, so that two transactions cannot wait for each other.
    results = [(delivery, outcomes[delivery.id]) for delivery in sorted(deliveries, key=attrgetter("id"))]
    ends: dict[End, list[_Outcome]] = defaultdict(list)
    for delivery, outcome in results:
        ends[end_of(delivery, outcome, now)].append((delivery, outcome))
    if len(ends) > 1:
        # A statement locks its rows in the order of its list, several statements would not.
        await _LOCK.perform(session, {"ids": [delivery.id for delivery, _ in results]})
    for end, equal in ends.items():
        statement = _SETTLE if end.is_first else _SETTLE_SEQUEL
        await statement.perform(session, _settle_values(equal, end, now))
    dead = [
        DeadDevice(delivery.device_id, delivery.user_id, _sent_at(delivery, now))
        for delivery, outcome in results
        if isinstance(outcome, DeadToken)
    ]
    await devices.forget_dead(session, dead)
    _record(results, now)


class End(NamedTuple):
    """The result to store for a push after an attempt to send it: the decision, its reason, and what can still follow.

    `is_final` is True if neither another attempt nor a receipt will follow.
    """

    decision: NotificationDecision
    reason: str | None = None
    is_final: bool = True
    # Whether nothing was sent for this push before.
    is_first: bool = True
    # The push service did not confirm it, but the device may show it, so it must be retracted too.
    may_be_shown: bool = False
    # Whether there was no attempt: the push waits, and its claim does not count.
    is_uncounted: bool = False


def end_of(delivery: Delivery, outcome: PushOutcome, now: datetime) -> End:
    """Return the result to store for a push after an attempt with this outcome at `now`."""
    is_first = not delivery.handling.is_sequel
    match outcome:
        case Accepted(ticket=ticket):
            # Without a ticket there will be no receipt.
            return End(_TAKEN[delivery.handling.purpose], delivery.handling.reason, ticket is None, is_first)
        case TryLater(reason=reason) | NotSent(reason=reason):
            gives_up = now - delivery.since >= timedelta(seconds=PUSH_SECONDS)
            decision = NotificationDecision.GIVEN_UP if gives_up else NotificationDecision.RETRYING
            may_be_shown = is_first and isinstance(outcome, TryLater) and outcome.may_have_arrived
            is_uncounted = isinstance(outcome, NotSent)
            return End(decision, reason[:_MAX_REASON_LENGTH], gives_up, is_first, may_be_shown, is_uncounted)
        case DeadToken(reason=reason) | BadMessage(reason=reason):
            return End(
                NotificationDecision.REJECTED, reason[:_MAX_REASON_LENGTH], is_final=True, is_first=is_first
            )


def _settle_values(results: Sequence[_Outcome], end: End, now: datetime) -> dict[str, Any]:
    """Return the parameters that store these results: shared values once, others as lists in one order."""
    is_taken = end.decision in _TAKEN.values()
    # The history of a notice that was sent has only the attempts at what follows it.
    is_shown = end.is_first or end.is_final or not end.is_uncounted
    follow_ups = [_follow_up_at(delivery, now) for delivery, _ in results] if is_taken else []
    return {
        "decision": end.decision,
        "reason": end.reason,
        "entry": [entry(end.decision, end.reason, now)] if is_shown else [],
        "uncounted": int(end.is_uncounted),
        "sent_at": now if is_taken or end.may_be_shown else None,
        "receipt_due_at": now + RECEIPT_AFTER if is_taken and not end.is_final else None,
        "settled_at": now if end.is_final else None,
        "given_id": [delivery.id for delivery, _ in results],
        "given_attempts": [delivery.attempts for delivery, _ in results],
        "given_ticket_id": [
            outcome.ticket if isinstance(outcome, Accepted) else None for _, outcome in results
        ],
        # The driver takes as long for a list of NULLs as for a list of values.
        "given_due_at": None
        if is_taken
        else [_due_again(delivery, outcome, end, now) for delivery, outcome in results],
        "given_follow_up_at": follow_ups if any(follow_ups) else None,
        "given_lease_until": None
        if end.is_first
        else [delivery.handling.lease_until for delivery, _ in results],
    }


def _follow_up_at(delivery: Delivery, now: datetime) -> datetime | None:
    """Return the time at which the recipient is to be reminded of the push's question; None for never."""
    seconds = delivery.handling.notice and delivery.handling.notice.row["reminder_after_seconds"]
    return (
        now + timedelta(seconds=seconds) if seconds and delivery.handling.purpose is Purpose.NOTICE else None
    )


def _settle_statement(*, is_sequel: bool) -> Update:
    """Return the UPDATE that stores the results of claimed pushes.

    A retraction that was requested meanwhile, because the question was closed, is kept. A notice that was sent stays
    sent, whatever the result of its sequel.
    """
    columns = Notification.__table__.c
    types = {name: columns[name].type for name in ("id", "attempts", "ticket_id", "due_at", "follow_up_at")}
    types["lease_until"] = columns["due_at"].type
    given = given_rows(types)
    common: dict[str, Any] = {
        name: bindparam(name, type_=columns[name].type)
        for name in ("decision", "reason", "sent_at", "receipt_due_at", "settled_at")
    }
    entries = bindparam("entry", type_=JSONB)
    is_taken = common["sent_at"].is_not(None)
    attempts = Notification.attempts - bindparam("uncounted", type_=Notification.attempts.type)
    move = decision_update(common["decision"], common["reason"], entries)
    statement = update(Notification).where(
        Notification.id == given.c.id, Notification.attempts == given.c.attempts
    )
    if not is_sequel:
        # Not IS NOT NULL: for that the planner would read the partial index of all that are due.
        is_claimed = func.num_nonnulls(Notification.due_at) == literal_int(1)
        return statement.where(is_claimed).values(
            move
            | {
                Notification.sent_at: func.coalesce(common["sent_at"], Notification.sent_at),
                Notification.receipt_due_at: common["receipt_due_at"],
                Notification.settled_at: common["settled_at"],
                Notification.ticket_id: given.c.ticket_id,
                Notification.attempts: attempts,
                Notification.due_at: given.c.due_at,
                Notification.follow_up_at: func.coalesce(Notification.follow_up_at, given.c.follow_up_at),
            }
        )
    unless_taken = failure_update(common["reason"], entries)
    return statement.values(
        {column: case((is_taken, move[column]), else_=value) for column, value in unless_taken.items()}
        | {
            Notification.sent_at: func.coalesce(common["sent_at"], Notification.sent_at),
            Notification.ticket_id: func.coalesce(given.c.ticket_id, Notification.ticket_id),
            Notification.attempts: attempts,
            Notification.receipt_due_at: func.coalesce(common["receipt_due_at"], Notification.receipt_due_at),
            Notification.settled_at: func.coalesce(common["settled_at"], Notification.settled_at),
            Notification.follow_up_at: case(
                (Notification.follow_up_at == given.c.lease_until, given.c.due_at),
                else_=Notification.follow_up_at,
            ),
        }
    )


# Counted, so that no rows are sent.
_LOCK = Prepared(
    select(func.count()).select_from(
        select(Notification.id)
        .where(Notification.id == any_(bindparam("ids", type_=ARRAY(Notification.id.type))))
        .order_by(Notification.id)
        .with_for_update(key_share=True)
        .subquery()
    )
)
_SETTLE = Prepared(_settle_statement(is_sequel=False))
_SETTLE_SEQUEL = Prepared(_settle_statement(is_sequel=True))


def _due_again(delivery: Delivery, outcome: PushOutcome, end: End, now: datetime) -> datetime | None:
    if end.decision is not NotificationDecision.RETRYING:
        return None
    match outcome:
        case TryLater(retry_after=retry_after, until=None):
            return now + timedelta(seconds=PUSH.delay(delivery.attempts, retry_after))
        case TryLater(until=until) | NotSent(until=until):
            # At once, if no push service asked for a delay: another worker may be free.
            return until or now
        case _:
            return None


def _sent_at(delivery: Delivery, now: datetime) -> datetime:
    """Return the time of the claim of a push, before it was sent; now for a test push, which is not claimed."""
    lease_until = delivery.handling.lease_until
    return now if lease_until is None else lease_until - PUSH_LEASE


def _record(results: Sequence[_Outcome], now: datetime) -> None:
    """Count the outcomes, and log each kind of failure once: many pushes fail together."""
    alike: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for delivery, outcome in results:
        if isinstance(outcome, Accepted):
            alike["Accepted", ""].append(delivery)
            _DELAY.observe((now - delivery.since).total_seconds())
        else:
            alike[type(outcome).__name__, outcome.reason].append(delivery)
    for (name, reason), deliveries in alike.items():
        _OUTCOMES.labels(name, reason).inc(len(deliveries))
        if name not in {Accepted.__name__, NotSent.__name__}:
            log.warning(
                "push.not_accepted",
                outcome=name,
                reason=reason,
                pushes=len(deliveries),
                # One of them.
                notification_id=str(deliveries[0].id),
                device_id=str(deliveries[0].device_id),
            )
