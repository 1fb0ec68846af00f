"""From a pending row to its push: claim, send, settle; and the test push that a user sends to themselves.

A claim is a lease: what a worker held when it was killed becomes due again by itself. A request that was under way at
that moment may have reached the push service, and is repeated: of the two, a push twice is better than none.
"""

import asyncio
import random
from collections import Counter
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
    insert,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.push import (
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
from app.db import release
from app.enums import NotificationDecision, NotificationKind, Platform
from app.errors import NotFound
from app.ids import new_id
from app.models import Notification, PushToken, Task
from app.schemas.notifications import PushTestIn, PushTestOut
from app.services.access import Principal, visible_task
from app.services.notifications import message_body
from app.statements import Prepared

__all__ = [
    "BATCH",
    "CLAIM",
    "LEASE",
    "RECEIPT_AFTER",
    "Delivery",
    "claim_due",
    "send",
    "send_test",
    "settle",
]

# Messages of one request.
BATCH = 100
# Pushes of one claim: its requests share the two statements before and after them (ADR 37).
CLAIM = 3 * BATCH
LEASE = timedelta(seconds=60)
# Longer than any request takes: what is begun earlier before the end of a lease is answered and settled within it, so
# that nobody sends what somebody is still sending.
_LAST_REQUEST = timedelta(seconds=20)
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


@dataclass(frozen=True, slots=True)
class Delivery:
    """A claimed push; `token` is None when the device is not the recipient's any more."""

    id: UUID
    attempts: int
    user_id: int
    device_id: UUID
    platform: Platform
    body: str
    data: Mapping[str, str]
    created_at: datetime
    token: str | None = field(repr=False)


async def claim_due(session: AsyncSession) -> list[Delivery]:
    """Take at most `CLAIM` pushes that are due, oldest first, for the length of the lease.

    Concurrent calls take different ones.
    """
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + LEASE})
    return [
        Delivery(
            id=row["id"],
            attempts=row["attempts"],
            user_id=row["user_id"],
            device_id=row["device_id"],
            platform=Platform(row["platform"]),
            body=row["body"],
            data=_data(row["task_id"], row["run_id"]),
            created_at=row["created_at"],
            token=row["token"],
        )
        for row in rows
    ]


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


def _data(task_id: UUID, run_id: UUID | None) -> dict[str, str]:
    return {"taskId": str(task_id)} | ({"taskRunId": str(run_id)} if run_id else {})


async def send(
    senders: Mapping[Platform, PushSender], deliveries: Sequence[Delivery], *, title: str
) -> dict[UUID, PushOutcome]:
    """Hand the pushes to their services, as many requests at once as those take, and return what each of them said.

    To be called as soon as they are claimed: what cannot be sent well within the lease is left for another time. Never
    raises for a push service.
    """
    outcomes: dict[UUID, PushOutcome] = {}
    by_sender: dict[PushSender, list[tuple[UUID, PushMessage]]] = {}
    for delivery in deliveries:
        sender = senders.get(delivery.platform)
        if delivery.token is None:
            outcomes[delivery.id] = BadMessage("TokenGone")
        elif sender is None:
            outcomes[delivery.id] = BadMessage("WebPushNotConfigured")
        else:
            message = PushMessage(delivery.token, title, delivery.body, delivery.data)
            by_sender.setdefault(sender, []).append((delivery.id, message))
    before = asyncio.get_running_loop().time() + (LEASE - _LAST_REQUEST).total_seconds()
    async with asyncio.TaskGroup() as group:
        for sender, own in by_sender.items():
            for first in range(0, len(own), BATCH):
                group.create_task(_send(sender, own[first : first + BATCH], before, outcomes))
    return outcomes


async def _send(
    sender: PushSender,
    batch: Sequence[tuple[UUID, PushMessage]],
    before: float,
    outcomes: dict[UUID, PushOutcome],
) -> None:
    said: Sequence[PushOutcome]
    try:
        said = await sender.send([message for _, message in batch], before=before)
    except PushUnavailable as error:
        log.warning("push.unavailable", reason=error.reason, messages=len(batch))
        said = [TryLater(error.reason, error.retry_after)] * len(batch)
    outcomes |= zip((delivery_id for delivery_id, _ in batch), said, strict=True)


async def settle(
    session: AsyncSession, deliveries: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome]
) -> None:
    """Write down what became of claimed pushes, and forget tokens that are dead.

    A push that was claimed again meanwhile is left to its new holder.
    """
    now = utcnow()
    ends: dict[_End, list[tuple[Delivery, PushOutcome]]] = {}
    for delivery in deliveries:
        outcome = outcomes[delivery.id]
        ends.setdefault(_end(delivery, outcome, now), []).append((delivery, outcome))
    dead = [delivery for delivery in deliveries if isinstance(outcomes[delivery.id], DeadToken)]
    if (dead or len(ends) > 1) and not session.in_transaction():
        # All or nothing: a dead token that stays would be pushed to again.
        _ = await session.begin()
    for end, those in ends.items():
        await _SETTLE.perform(session, _given(those, end, now))
    await _remove_tokens(session, [(delivery.device_id, delivery.user_id) for delivery in dead])
    _record(deliveries, outcomes, now)


class _End(NamedTuple):
    """What pushes that ended alike have in common; the names are those of the columns."""

    decision: NotificationDecision
    reason: str | None = None
    sent_at: datetime | None = None
    receipt_due_at: datetime | None = None
    settled_at: datetime | None = None


def _end(delivery: Delivery, outcome: PushOutcome, now: datetime) -> _End:
    match outcome:
        case Accepted(ticket=None):
            # Without a ticket there is nothing more to learn.
            return _End(NotificationDecision.SENT, sent_at=now, settled_at=now)
        case Accepted():
            return _End(NotificationDecision.SENT, sent_at=now, receipt_due_at=now + RECEIPT_AFTER)
        case TryLater(reason=reason) if now - delivery.created_at < GIVE_UP_AFTER:
            return _End(NotificationDecision.RETRYING, reason[:_MAX_REASON_LENGTH])
        case TryLater(reason=reason):
            return _End(NotificationDecision.GIVEN_UP, reason[:_MAX_REASON_LENGTH], settled_at=now)
        case DeadToken(reason=reason) | BadMessage(reason=reason):
            return _End(NotificationDecision.REJECTED, reason[:_MAX_REASON_LENGTH], settled_at=now)


def _given(those: Sequence[tuple[Delivery, PushOutcome]], end: _End, now: datetime) -> dict[str, Any]:
    """Return the values for `_SETTLE`: once what all have in common, the rest as lists whose places belong together."""
    return {f"end_{name}": value for name, value in end._asdict().items()} | {
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
    common = {name: bindparam(f"end_{name}", type_=columns[name].type) for name in _End._fields}
    return (
        update(Notification)
        .where(Notification.id == given.c.id, Notification.attempts == given.c.attempts)
        # As in the claim, for the key.
        .where(Notification.id == any_(lists["id"]), Notification.due_at.is_not(None))
        .values(**common, ticket_id=given.c.ticket_id, due_at=given.c.due_at)
    )


_SETTLE = Prepared(_settle_statement())


def _due_again(delivery: Delivery, outcome: PushOutcome, end: _End, now: datetime) -> datetime | None:
    if end.decision is NotificationDecision.RETRYING and isinstance(outcome, TryLater):
        return now + timedelta(seconds=_delay(delivery.attempts, outcome.retry_after))
    return None


def _delay(attempts: int, retry_after: float | None) -> float:
    """Return how long to wait: growing, spread out so that what failed together does not return together."""
    growing = min(_FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 10), _LONGEST_DELAY_SECONDS)
    spread = random.uniform(1.0, 1.5)  # noqa: S311 - not a secret
    return max(growing, retry_after or 0.0) * spread


async def _remove_tokens(session: AsyncSession, devices: Sequence[tuple[UUID, int]]) -> None:
    """Forget dead tokens of these users; the same device may be another user's by now."""
    if devices:
        await session.execute(delete(PushToken).where(tuple_(PushToken.id, PushToken.user_id).in_(devices)))


def _record(deliveries: Sequence[Delivery], outcomes: Mapping[UUID, PushOutcome], now: datetime) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for delivery in deliveries:
        outcome = outcomes[delivery.id]
        if isinstance(outcome, Accepted):
            counts["Accepted", ""] += 1
            _DELAY.observe((now - delivery.created_at).total_seconds())
        else:
            name = type(outcome).__name__
            counts[name, outcome.reason] += 1
            log.warning(
                "push.not_accepted",
                notification_id=str(delivery.id),
                device_id=str(delivery.device_id),
                outcome=name,
                reason=outcome.reason,
            )
    for labels, count in counts.items():
        _OUTCOMES.labels(*labels).inc(count)


async def send_test(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    body: PushTestIn,
    *,
    senders: Mapping[Platform, PushSender],
    title: str,
) -> PushTestOut:
    """Push a test message to one of the caller's devices at once, and return what the push service said.

    Presence, cooldown and preferences are not asked: who tests wants to see it arrive. If the service cannot take it
    now, it is tried again like any other push.

    Raises:
        NotFound: the task is not visible, or the device is not one of the caller's.

    """
    delivery = await _open_test(session, caller, task_id, body.device_id)
    await release(session)
    outcomes = await send(senders, [delivery], title=title)
    await settle(session, [delivery], outcomes)
    outcome = outcomes[delivery.id]
    end = _end(delivery, outcome, utcnow())
    return {
        "id": delivery.id,
        "device": delivery.device_id,
        "platform": delivery.platform,
        "decision": end.decision,
        "reason": end.reason,
        "ticket": outcome.ticket if isinstance(outcome, Accepted) else None,
    }


async def _open_test(
    session: AsyncSession, caller: Principal, task_id: UUID, device_id: UUID | None
) -> Delivery:
    title = await session.scalar(select(Task.title).where(Task.id == task_id, visible_task(caller)))
    if title is None:
        raise NotFound
    devices = select(PushToken.id, PushToken.platform, PushToken.token).where(
        PushToken.user_id == caller.user_id
    )
    if device_id is not None:
        devices = devices.where(PushToken.id == device_id)
    newest = devices.order_by(PushToken.last_seen_at.desc(), PushToken.id.desc()).limit(1)
    device = (await session.execute(newest)).one_or_none()
    if device is None:
        raise NotFound("The caller has no such device.")
    now = utcnow()
    delivery = Delivery(
        id=new_id(),
        attempts=1,
        user_id=caller.user_id,
        device_id=device.id,
        platform=Platform(device.platform),
        body=message_body(NotificationKind.TEST, title),
        data=_data(task_id, None),
        created_at=now,
        token=device.token,
    )
    await session.execute(
        insert(Notification).values(
            id=delivery.id,
            task_id=task_id,
            user_id=caller.user_id,
            kind=NotificationKind.TEST,
            body=delivery.body,
            device_id=delivery.device_id,
            platform=delivery.platform,
            decision=NotificationDecision.PENDING,
            created_at=now,
            # As claimed: a worker sends it only if this process does not live to.
            due_at=now + LEASE,
            attempts=delivery.attempts,
        )
    )
    return delivery
