"""Send pushes to the push services and store the results. The pushes were claimed before (push_claims.py)."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter as Metric
from prometheus_client import Histogram
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    TableValuedAlias,
    Update,
    and_,
    any_,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clients.pushes.push import (
    MESSAGES_PER_REQUEST,
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
from app.db import after_commit
from app.db.statements import Prepared
from app.enums import NotificationDecision, Platform
from app.models import Notification
from app.models.base import given_rows, literal_int
from app.services.notifications import devices, reminders
from app.services.notifications.devices import DeadDevice
from app.services.notifications.push_messages import Composer, Delivery
from app.services.notifications.rules.decision_transitions import decision_update, entry, replacement_update
from app.services.retrying import due_rows
from app.services.retrying.policies import PUSH, PUSH_LEASE, PUSH_SECONDS
from app.tracing.spans import record

# All requests of a claim share one statement before them, which claims, and one after them, which settles (ADR 16).
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


async def send(
    senders: Mapping[Platform, PushSender],
    deliveries: Sequence[Delivery],
    *,
    composer: Composer,
    deadline: Deadline,
) -> dict[UUID, PushOutcome]:
    """Send claimed pushes, those of each service concurrently; return outcomes by push id, of failures too."""
    outcomes: dict[UUID, PushOutcome] = {}
    by_sender: dict[PushSender, list[_Addressed]] = defaultdict(list)
    for delivery in deliveries:
        push = delivery.push
        if push.token is None:
            outcomes[push.id] = BadMessage("TokenGone")
            continue
        try:
            sender = senders.get(Platform(push.platform))
            message = composer.compose(delivery)
        except Exception:
            # Not raised: the other pushes of the claim would wait for the end of their lease. A newer release may
            # know the value that this one does not.
            log.exception("push.not_composed", notification_id=str(push.id))
            outcomes[push.id] = TryLater("NotComposed")
            continue
        if sender is None:
            outcomes[push.id] = BadMessage("WebPushNotConfigured")
        else:
            by_sender[sender].append((push.id, message))
    async with asyncio.TaskGroup() as group:
        for sender, addressed in by_sender.items():
            for first in range(0, len(addressed), MESSAGES_PER_REQUEST):
                group.create_task(
                    _send(sender, addressed[first : first + MESSAGES_PER_REQUEST], deadline, outcomes)
                )
    return outcomes


async def _send(
    sender: PushSender, batch: Sequence[_Addressed], deadline: Deadline, outcomes: dict[UUID, PushOutcome]
) -> None:
    ids = [delivery_id for delivery_id, _ in batch]
    try:
        results = await sender.send([message for _, message in batch], deadline)
        outcomes |= dict(zip(ids, results, strict=True))
    except Exception as error:
        # Not raised: the other requests of the claim are under way, and their results must be stored.
        log.exception("push.unexpected_error", messages=len(batch))
        outcomes |= dict.fromkeys(ids, TryLater(type(error).__name__, may_have_arrived=True))


async def settle(
    session: AsyncSession, deliveries: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome]
) -> None:
    """Store the outcomes of pushes that no other worker has claimed since, and forget devices that are gone."""
    now = utcnow()
    # All transactions lock notifications in the order of their ids: no two deadlock.
    in_order = sorted(deliveries, key=attrgetter("push.id"))
    results = [(delivery, outcomes[delivery.push.id]) for delivery in in_order]
    ends: dict[End, list[_Outcome]] = defaultdict(list)
    for delivery, outcome in results:
        ends[end_of(delivery, outcome, now)].append((delivery, outcome))
    replaced = [each.push.replaces for each in in_order if each.push.replaces]
    if len(ends) > 1 or replaced:
        # Locked by one statement, in that order. Those below take the rows of one outcome after those of another.
        await _LOCK.perform(session, {"ids": [*(each.push.id for each in in_order), *replaced]})
    for end, equal in ends.items():
        values = _settle_values(equal, end, now)
        if replaced and (end.is_counted or end.is_final):
            # The history of a notice shows what was sent or given up after it. This goes first, because it finds its
            # rows by the claim, which settling ends.
            await _SHOW.perform(session, values)
        receipt_due_at = now + RECEIPT_AFTER if end.is_accepted and not end.is_final else None
        own = {"counted": int(end.is_counted), "receipt_due_at": receipt_due_at}
        await _SETTLE.perform(session, values | own)
        if end.is_accepted:
            await reminders.remind(session, [delivery for delivery, _ in equal], now)
    dead = [
        DeadDevice(delivery.push.device_id, delivery.push.user_id, delivery.until - PUSH_LEASE)
        for delivery, outcome in results
        if isinstance(outcome, DeadToken)
    ]
    await devices.forget_dead(session, dead)
    # After the commit: a settlement that fails is repeated, by halves.
    after_commit(session, partial(_count, results, now))


class End(NamedTuple):
    """The result to store for a push after an attempt to send it."""

    decision: NotificationDecision
    reason: str | None = None
    # Neither another attempt nor a receipt will follow.
    is_final: bool = True
    is_accepted: bool = False
    # The service did not confirm it, but the device may show it, so it must be retracted too.
    may_be_shown: bool = False
    # Whether the claim counts as an attempt: not if the push was only left for later.
    is_counted: bool = True


def end_of(delivery: Delivery, outcome: PushOutcome, now: datetime) -> End:
    match outcome:
        case Accepted(ticket=ticket):
            decision, reason = _accepted_decision(delivery)
            # Without a ticket there will be no receipt.
            return End(decision, reason, is_final=ticket is None, is_accepted=True)
        case TryLater(reason=reason) | NotSent(reason=reason):
            gives_up = now - delivery.since >= timedelta(seconds=PUSH_SECONDS)
            return End(
                NotificationDecision.GIVEN_UP if gives_up else NotificationDecision.RETRYING,
                reason[:_MAX_REASON_LENGTH],
                is_final=gives_up,
                may_be_shown=isinstance(outcome, TryLater) and outcome.may_have_arrived,
                is_counted=isinstance(outcome, TryLater),
            )
        case DeadToken(reason=reason) | BadMessage(reason=reason):
            return End(NotificationDecision.REJECTED, reason[:_MAX_REASON_LENGTH])


def _accepted_decision(delivery: Delivery) -> tuple[NotificationDecision, str | None]:
    if delivery.push.is_retraction:
        question = delivery.notice and delivery.notice.context.question
        return NotificationDecision.RETRACTED, question and question.value
    if delivery.is_reminder:
        return NotificationDecision.REMINDER, "still_open"
    return NotificationDecision.SENT, None


def _settle_values(results: Sequence[_Outcome], end: End, now: datetime) -> dict[str, object]:
    return {
        "decision": end.decision,
        "reason": end.reason,
        "entry": [entry(end.decision, end.reason, now)],
        "sent_at": now if end.is_accepted or end.may_be_shown else None,
        "settled_at": now if end.is_final else None,
        "given_id": [delivery.push.id for delivery, _ in results],
        "given_attempts": [delivery.push.attempts for delivery, _ in results],
        "given_until": [delivery.until for delivery, _ in results],
        "given_ticket_id": [
            outcome.ticket if isinstance(outcome, Accepted) else None for _, outcome in results
        ],
        # The driver takes as long for a list of NULLs as for a list of values.
        "given_due_at": None
        if end.is_accepted
        else [_due_again(delivery, outcome, end, now) for delivery, outcome in results],
    }


def _is_claimed(row: Any, settled: Any) -> ColumnElement[bool]:
    return and_(
        row.id == settled.c.id,
        row.attempts == settled.c.attempts,
        # Not IS NOT NULL: for that the planner would read the partial index of all that are due.
        func.num_nonnulls(row.due_at) == literal_int(1),
    )


def _given() -> TableValuedAlias:
    columns = Notification.__table__.c
    types = {name: columns[name].type for name in ("id", "attempts", "ticket_id", "due_at")}
    return given_rows({**types, "until": columns.due_at.type})


def _settle_statement() -> Update:
    settled = _given()
    return (
        update(Notification)
        .where(_is_claimed(Notification, settled))
        .values(
            decision_update(_SHARED["decision"], _SHARED["reason"], _ENTRY)
            | {
                Notification.attempts: Notification.attempts - literal_int(1) + _COUNTED,
                Notification.sent_at: func.coalesce(_SHARED["sent_at"], Notification.sent_at),
                Notification.receipt_due_at: _SHARED["receipt_due_at"],
                Notification.settled_at: _SHARED["settled_at"],
                Notification.ticket_id: settled.c.ticket_id,
                # A snooze that has moved the reminder since its claim has precedence.
                Notification.due_at: case(
                    (Notification.due_at == settled.c.until, settled.c.due_at), else_=Notification.due_at
                ),
            }
        )
    )


def _show_statement() -> Update:
    settled, replacement = _given(), aliased(Notification)
    return (
        update(Notification)
        .where(_is_claimed(replacement, settled), Notification.id == replacement.replaces)
        .values(
            replacement_update(_SHARED["decision"], _SHARED["reason"], _ENTRY)
            | {
                Notification.sent_at: func.coalesce(_SHARED["sent_at"], Notification.sent_at),
                Notification.settled_at: func.coalesce(_SHARED["settled_at"], Notification.settled_at),
            }
        )
    )


_SHARED: dict[str, BindParameter[object]] = {
    name: bindparam(name, type_=Notification.__table__.c[name].type)
    for name in ("decision", "reason", "sent_at", "receipt_due_at", "settled_at")
}
_ENTRY = bindparam("entry", type_=JSONB)
_COUNTED = bindparam("counted", type_=Notification.attempts.type)
# Returns a count, so that the database sends no rows.
_LOCK = Prepared(
    select(func.count()).select_from(
        due_rows.lock(
            select(Notification.id).where(
                Notification.id == any_(bindparam("ids", type_=ARRAY(Notification.id.type)))
            ),
            Notification.id,
        ).subquery()
    )
)
_SETTLE = Prepared(_settle_statement())
_SHOW = Prepared(_show_statement())


def _due_again(delivery: Delivery, outcome: PushOutcome, end: End, now: datetime) -> datetime | None:
    if end.decision is not NotificationDecision.RETRYING:
        return None
    match outcome:
        case TryLater(retry_after=retry_after, until=None):
            return now + timedelta(seconds=PUSH.delay(delivery.push.attempts, retry_after))
        case TryLater(until=until) | NotSent(until=until):
            # At once, if no push service asked for a delay: another worker may be free.
            return until or now
        case _:
            return None


def _count(results: Sequence[_Outcome], now: datetime) -> None:
    alike: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for delivery, outcome in results:
        if isinstance(outcome, Accepted):
            alike["Accepted", ""].append(delivery)
            _DELAY.observe((now - delivery.since).total_seconds())
        else:
            alike[type(outcome).__name__, outcome.reason].append(delivery)
        record(
            "push",
            delivery.until - PUSH_LEASE,
            now,
            parent=delivery.push.traceparent,
            error=None if isinstance(outcome, Accepted) else type(outcome).__name__,
            notification_id=delivery.push.id,
            run_id=delivery.push.run_id,
            platform=delivery.push.platform,
        )
    for (name, reason), deliveries in alike.items():
        _OUTCOMES.labels(name, reason).inc(len(deliveries))
        if name not in {Accepted.__name__, NotSent.__name__}:
            log.warning(
                "push.not_accepted",
                outcome=name,
                reason=reason,
                pushes=len(deliveries),
                notification_id=str(deliveries[0].push.id),
                device_id=str(deliveries[0].push.device_id),
            )
