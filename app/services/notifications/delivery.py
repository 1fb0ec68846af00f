"""From a pending row to its push: claim, send, settle.

A claim is a lease: what a worker held when it was killed becomes due again by itself. A request that was under way at
that moment may have reached the push service, and is repeated: of the two, a push twice is better than none.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter as Metric
from prometheus_client import Histogram
from sqlalchemy import (
    BigInteger,
    Update,
    any_,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.deadline import Deadline
from app.clients.push import (
    NOT_REACHED,
    Accepted,
    BadMessage,
    DeadToken,
    PushMessage,
    PushOutcome,
    PushSender,
    PushUnavailable,
    TryLater,
)
from app.clock import utcnow
from app.enums import NotificationDecision, Platform
from app.models import Notification, PushToken
from app.statements import Prepared

# Messages of one request.
BATCH = 100
# Pushes of one claim: its requests share the two statements before and after them (ADR 37).
CLAIM = 3 * BATCH
LEASE = timedelta(seconds=60)
# Nothing is begun later after its claim: any request is answered and settled in the twenty seconds that are left, so
# that no push is sent twice at the same time.
SEND_WITHIN = LEASE - timedelta(seconds=20)
# By then Expo knows what Apple and Google made of a message.
RECEIPT_AFTER = timedelta(minutes=15)
# News of a run that is older than this is no news.
GIVE_UP_AFTER = timedelta(hours=1)

_FIRST_DELAY_SECONDS = 5.0
_LONGEST_DELAY_SECONDS = 300.0
_MAX_REASON_LENGTH = 64

_OUTCOMES = Metric("taskbeacon_push_outcomes_total", "Attempts to push, by outcome.", ["outcome", "reason"])
_DELAY = Histogram(
    "taskbeacon_push_delay_seconds",
    "From the event to the push service's ticket.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)

log = structlog.get_logger(__name__)


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
    task_id: UUID | None
    run_id: UUID | None
    created_at: datetime
    token: str | None = field(repr=False)

    @property
    def data(self) -> dict[str, str]:
        """What an app needs to open the task; nothing where there is none."""
        if self.task_id is None:
            return {}
        data = {"taskId": str(self.task_id)}
        if self.run_id is not None:
            data["taskRunId"] = str(self.run_id)
        return data


# A message and the push that it is for; a push and what its service said of it.
_Addressed = tuple[UUID, PushMessage]
_Outcome = tuple[Delivery, PushOutcome]


async def claim_due(session: AsyncSession) -> list[Delivery]:
    """Take at most `CLAIM` pushes that are due, oldest first, for the length of the lease.

    Concurrent calls take different ones.
    """
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + LEASE})
    return [Delivery(**row) for row in rows]


_DUE = (
    select(Notification.id)
    .where(Notification.due_at <= bindparam("now"))
    .order_by(Notification.due_at)
    .limit(literal_column(str(CLAIM), BigInteger))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = Prepared(
    update(Notification)
    # A list and no join: however small or new the table, the rows are found by their key.
    .where(Notification.id == any_(func.array(select(_DUE.c.id).scalar_subquery())))
    .values(due_at=bindparam("until"), attempts=Notification.attempts + 1)
    # The fields of a delivery.
    .returning(
        Notification.id,
        Notification.attempts,
        Notification.user_id,
        Notification.device_id,
        Notification.platform,
        Notification.body,
        Notification.task_id,
        Notification.run_id,
        Notification.created_at,
        select(PushToken.token)
        .where(PushToken.id == Notification.device_id, PushToken.user_id == Notification.user_id)
        .scalar_subquery()
        .label("token"),
    )
)


async def send(
    senders: Mapping[Platform, PushSender],
    deliveries: Sequence[Delivery],
    *,
    title: str,
    deadline: Deadline,
) -> dict[UUID, PushOutcome]:
    """Hand the pushes to their services, as many requests at once as those take, and return what each of them said.

    What cannot be begun before the deadline is left for another time (`NOT_REACHED`). Never raises for a push service.
    """
    outcomes: dict[UUID, PushOutcome] = {}
    by_platform: dict[str, list[_Addressed]] = defaultdict(list)
    for delivery in deliveries:
        if delivery.token is None:
            outcomes[delivery.id] = BadMessage("TokenGone")
        else:
            message = PushMessage(delivery.token, title, delivery.body, delivery.data)
            by_platform[delivery.platform].append((delivery.id, message))
    by_sender: dict[PushSender, list[_Addressed]] = defaultdict(list)
    for platform, own in by_platform.items():
        sender = senders.get(Platform(platform))
        if sender is None:
            outcomes |= {delivery_id: BadMessage("WebPushNotConfigured") for delivery_id, _ in own}
        else:
            by_sender[sender] += own
    async with asyncio.TaskGroup() as group:
        for sender, own in by_sender.items():
            for first in range(0, len(own), BATCH):
                group.create_task(_send(sender, own[first : first + BATCH], deadline, outcomes))
    return outcomes


async def _send(
    sender: PushSender,
    batch: Sequence[_Addressed],
    deadline: Deadline,
    outcomes: dict[UUID, PushOutcome],
) -> None:
    said: Sequence[PushOutcome]
    try:
        said = await sender.send([message for _, message in batch], deadline)
    except PushUnavailable as error:
        log.warning("push.unavailable", reason=error.reason, messages=len(batch))
        said = [TryLater(error.reason, error.retry_after)] * len(batch)
    except Exception as error:
        # The other requests of the claim are on the wire, and what was said to them must be written down.
        log.exception("push.unexpected_error", messages=len(batch))
        said = [TryLater(type(error).__name__)] * len(batch)
    outcomes |= zip((delivery_id for delivery_id, _ in batch), said, strict=True)


async def settle(
    session: AsyncSession, deliveries: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome]
) -> None:
    """Write down what became of claimed pushes, and forget tokens that are dead.

    A push that was claimed again meanwhile is left to its new holder.
    """
    now = utcnow()
    said = [(delivery, outcomes[delivery.id]) for delivery in deliveries]
    ends: dict[End, list[_Outcome]] = defaultdict(list)
    for delivery, outcome in said:
        ends[end_of(delivery, outcome, now)].append((delivery, outcome))
    dead = [delivery for delivery, outcome in said if isinstance(outcome, DeadToken)]
    for end, those in ends.items():
        await _SETTLE.perform(session, _settle_values(those, end, now))
    await _remove_tokens(session, [(delivery.device_id, delivery.user_id) for delivery in dead])
    _record(said, now)


class End(NamedTuple):
    """How a push ended, for now or for good; those that ended alike are written down together."""

    decision: NotificationDecision
    reason: str | None = None
    is_final: bool = True


def end_of(delivery: Delivery, outcome: PushOutcome, now: datetime) -> End:
    """Return what an outcome means for its push."""
    match outcome:
        case Accepted(ticket=ticket):
            # Without a ticket there is nothing more to learn.
            return End(NotificationDecision.SENT, is_final=ticket is None)
        case TryLater(reason=reason) if now - delivery.created_at < GIVE_UP_AFTER:
            return End(NotificationDecision.RETRYING, reason[:_MAX_REASON_LENGTH], is_final=False)
        case TryLater(reason=reason):
            return End(NotificationDecision.GIVEN_UP, reason[:_MAX_REASON_LENGTH])
        case DeadToken(reason=reason) | BadMessage(reason=reason):
            return End(NotificationDecision.REJECTED, reason[:_MAX_REASON_LENGTH])


def _settle_values(those: Sequence[_Outcome], end: End, now: datetime) -> dict[str, Any]:
    """Return the values for `_SETTLE`: once what all have in common, the rest as lists of the same order."""
    is_sent = end.decision is NotificationDecision.SENT
    return {
        "decision": end.decision,
        "reason": end.reason,
        "sent_at": now if is_sent else None,
        "receipt_due_at": now + RECEIPT_AFTER if is_sent and not end.is_final else None,
        "settled_at": now if end.is_final else None,
        "given_id": [delivery.id for delivery, _ in those],
        "given_attempts": [delivery.attempts for delivery, _ in those],
        "given_ticket_id": [
            outcome.ticket if isinstance(outcome, Accepted) else None for _, outcome in those
        ],
        "given_due_at": [_due_again(delivery, outcome, end, now) for delivery, outcome in those],
    }


def _settle_statement() -> Update:
    columns = Notification.__table__.c
    names = ("id", "attempts", "ticket_id", "due_at")
    lists = {name: bindparam(f"given_{name}", type_=ARRAY(columns[name].type)) for name in names}
    given = (
        func.unnest(*lists.values())
        .table_valued(*(column(name, columns[name].type) for name in names), name="given")
        .render_derived()
    )
    common = {
        name: bindparam(name, type_=columns[name].type)
        for name in ("decision", "reason", "sent_at", "receipt_due_at", "settled_at")
    }
    return (
        update(Notification)
        .where(Notification.id == given.c.id, Notification.attempts == given.c.attempts)
        # As in the claim, for the key; a list that the planner can count would have it read a small table whole.
        .where(Notification.id == any_(func.array(select(func.unnest(lists["id"])).scalar_subquery())))
        .where(Notification.due_at.is_not(None))
        .values(**common, ticket_id=given.c.ticket_id, due_at=given.c.due_at)
    )


_SETTLE = Prepared(_settle_statement())


def _due_again(delivery: Delivery, outcome: PushOutcome, end: End, now: datetime) -> datetime | None:
    if end.decision is not NotificationDecision.RETRYING or not isinstance(outcome, TryLater):
        return None
    if outcome is NOT_REACHED:
        # No service asked for patience, and another worker may be free.
        return now
    return now + timedelta(seconds=_delay(delivery.attempts, outcome.retry_after))


def _delay(attempts: int, retry_after: float | None) -> float:
    """Return how long to wait: growing, spread out so that what failed together does not return together."""
    growing = min(_FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 10), _LONGEST_DELAY_SECONDS)
    spread = random.uniform(1.0, 1.5)  # noqa: S311 - not a secret
    return max(growing, retry_after or 0.0) * spread


async def _remove_tokens(session: AsyncSession, devices: Sequence[tuple[UUID, int]]) -> None:
    """Forget dead tokens of these users; the same device may be another user's by now."""
    if devices:
        await session.execute(delete(PushToken).where(tuple_(PushToken.id, PushToken.user_id).in_(devices)))


def _record(said: Sequence[_Outcome], now: datetime) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for delivery, outcome in said:
        if isinstance(outcome, Accepted):
            counts["Accepted", ""] += 1
            _DELAY.observe((now - delivery.created_at).total_seconds())
        else:
            name = type(outcome).__name__
            counts[name, outcome.reason] += 1
            if outcome is not NOT_REACHED:
                log.warning(
                    "push.not_accepted",
                    notification_id=str(delivery.id),
                    device_id=str(delivery.device_id),
                    outcome=name,
                    reason=outcome.reason,
                )
    for labels, count in counts.items():
        _OUTCOMES.labels(*labels).inc(count)
