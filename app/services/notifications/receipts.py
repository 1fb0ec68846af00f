"""Receipts: the results of pushes after the push service accepted them. Many dead tokens are found only here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import case, delete, literal, null, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.push import Accepted, DeadToken, PushOutcome
from app.clock import utcnow
from app.enums import NotificationDecision
from app.models import Notification, PushToken
from app.services.notifications.delivery import RECEIPT_AFTER
from app.services.notifications.rules.settling import entry

BATCH = 1000
# Expo deletes a receipt after a day.
FORGOTTEN_AFTER = timedelta(hours=24)
# How long people can look up the decisions about their pushes.
HISTORY = timedelta(days=30)

_SWEEP_BATCH = 10_000
_RECEIPTS = Counter(
    "taskbeacon_push_receipts_total", "Receipts of pushes, by outcome.", ["outcome", "reason"]
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A push that the push service accepted; its result is not known yet."""

    notification_id: UUID
    ticket_id: str
    device_id: UUID
    user_id: int
    sent_at: datetime


async def claim_receipts(session: AsyncSession) -> list[Ticket]:
    """Claim at most 1000 tickets with due receipts; tickets that are not settled become due again after a while.

    Concurrent calls claim different tickets. Tickets without a receipt for a day are dropped.
    """
    now = utcnow()
    await session.execute(
        update(Notification)
        .where(Notification.receipt_due_at <= now, Notification.sent_at <= now - FORGOTTEN_AFTER)
        .values(receipt_due_at=None, settled_at=now, reason="NoReceipt")
        .execution_options(synchronize_session=False)
    )
    due = (
        select(Notification.id)
        .where(Notification.receipt_due_at <= now)
        .order_by(Notification.receipt_due_at, Notification.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    rows = await session.execute(
        update(Notification)
        .where(Notification.id == due.c.id)
        .values(receipt_due_at=now + RECEIPT_AFTER)
        .returning(
            Notification.id,
            Notification.ticket_id,
            Notification.device_id,
            Notification.user_id,
            Notification.sent_at,
        )
        .execution_options(synchronize_session=False)
    )
    return [Ticket(row.id, row.ticket_id, row.device_id, row.user_id, row.sent_at) for row in rows]


async def settle_receipts(
    session: AsyncSession, tickets: Sequence[Ticket], receipts: Mapping[str, PushOutcome]
) -> None:
    """Store the received receipts, and delete dead tokens that were not registered again since."""
    now = utcnow()
    endings: dict[tuple[NotificationDecision, str | None], list[UUID]] = {}
    for ticket in tickets:
        outcome = receipts.get(ticket.ticket_id)
        if outcome is None:
            continue
        decided = isinstance(outcome, Accepted)
        reason = None if isinstance(outcome, Accepted) else outcome.reason
        decision = NotificationDecision.DELIVERED if decided else NotificationDecision.REJECTED
        endings.setdefault((decision, reason), []).append(ticket.notification_id)
        _RECEIPTS.labels(type(outcome).__name__, reason or "").inc()
    for (decision, reason), ids in endings.items():
        said = literal([entry(decision, reason, now)], JSONB)
        # A sequel's decision says more than that the notice arrived, so it stays.
        is_newest = Notification.decision == NotificationDecision.SENT
        values = {
            Notification.decision: decision,
            Notification.reason: literal(reason, Notification.reason.type),
            Notification.history: Notification.history.op("||")(said),
            # A notice that was never shown is not followed up.
            Notification.follow_up_at: (
                Notification.follow_up_at if decision is NotificationDecision.DELIVERED else null()
            ),
        }
        await session.execute(
            update(Notification)
            .where(Notification.id.in_(ids), Notification.receipt_due_at.is_not(None))
            .values(
                {column: case((is_newest, value), else_=column) for column, value in values.items()}
                | {Notification.receipt_due_at: None, Notification.settled_at: now}
            )
            .execution_options(synchronize_session=False)
        )
    await _remove_dead(session, [t for t in tickets if isinstance(receipts.get(t.ticket_id), DeadToken)])


async def _remove_dead(session: AsyncSession, dead: Sequence[Ticket]) -> None:
    for ticket in dead:
        log.info("push.token_dead", device_id=str(ticket.device_id))
        await session.execute(
            delete(PushToken).where(
                PushToken.id == ticket.device_id,
                PushToken.user_id == ticket.user_id,
                PushToken.last_seen_at <= ticket.sent_at,
            )
        )


async def sweep_history(session: AsyncSession) -> int:
    """Delete notifications older than `HISTORY`, a bounded number at a time; return their number."""
    old = (
        select(Notification.id)
        .where(Notification.created_at <= utcnow() - HISTORY)
        .order_by(Notification.created_at)
        .limit(_SWEEP_BATCH)
    )
    gone = await session.execute(
        delete(Notification)
        .where(Notification.id.in_(old))
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())
