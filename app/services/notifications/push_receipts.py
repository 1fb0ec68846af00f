"""Fetch the receipts of pushes: their final results, which the push service provides some time after it accepted them.

Many push tokens that are no longer valid are found only here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, Update, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.pushes.push import TICKETS_PER_REQUEST, Accepted, DeadToken, PushOutcome
from app.clock import utcnow
from app.db import after_commit
from app.db.statements import Prepared, rows_of
from app.enums import NotificationDecision
from app.models import Notification
from app.services.notifications import devices
from app.services.notifications.devices import DeadDevice
from app.services.notifications.push_delivery import RECEIPT_AFTER
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.retrying import due_rows

BATCH = TICKETS_PER_REQUEST
# Expo deletes a receipt after a day.
FORGOTTEN_AFTER = timedelta(hours=24)

_RECEIPTS = Counter(
    "taskbeacon_push_receipts_total", "Receipts of pushes, by outcome.", ["outcome", "reason"]
)

log = structlog.get_logger(__name__)


class Ticket(NamedTuple):
    """A push that the push service accepted, with the ticket id under which its result can be fetched."""

    notification_id: UUID
    ticket_id: str
    device_id: UUID
    user_id: int
    sent_at: datetime


async def claim_receipts(session: AsyncSession) -> list[Ticket]:
    """Claim up to 1000 pushes with a receipt that is due. They are given up a day after they were sent."""
    now = utcnow()
    is_forgotten = Notification.sent_at <= now - FORGOTTEN_AFTER
    await session.execute(_claim(now, is_forgotten, receipt_due_at=None, settled_at=now, reason="NoReceipt"))
    claimed = _claim(now, ~is_forgotten, receipt_due_at=now + RECEIPT_AFTER).returning(
        Notification.id.label("notification_id"),
        Notification.ticket_id,
        Notification.device_id,
        Notification.user_id,
        Notification.sent_at,
    )
    return await rows_of(session, claimed, Ticket)


def _claim(now: datetime, condition: ColumnElement[bool], **values: object) -> Update:
    due = (
        select(Notification.id)
        .where(Notification.receipt_due_at <= now, condition)
        .order_by(Notification.receipt_due_at, Notification.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    # The push is not sent again.
    return due_rows.claim(Notification, due, counts=False, **values)


async def settle_receipts(
    session: AsyncSession, tickets: Sequence[Ticket], receipts: Mapping[str, PushOutcome]
) -> None:
    """Store receipts by ticket, and forget devices that are gone. A ticket without a receipt stays due."""
    now = utcnow()
    changes, outcomes = [], []
    for id_, stored, ticket_id in await _LOCK.all(
        session, {"ids": [ticket.notification_id for ticket in tickets]}
    ):
        outcome = receipts.get(ticket_id or "")
        if outcome is None:
            continue
        is_delivered = isinstance(outcome, Accepted)
        reason = None if isinstance(outcome, Accepted) else outcome.reason
        outcomes.append((type(outcome).__name__, reason or ""))
        values = {"receipt_due_at": None, "settled_at": now}
        decision: NotificationDecision | None = None
        # A notice that was retracted or reminded of keeps that decision, which says more than `delivered`.
        if stored == NotificationDecision.SENT:
            decision = NotificationDecision.DELIVERED if is_delivered else NotificationDecision.REJECTED
        changes.append(Change(id=id_, decision=decision, reason=reason, values=values))

    def count() -> None:
        for outcome in outcomes:
            _RECEIPTS.labels(*outcome).inc()

    after_commit(session, count)
    await store(session, changes, now)
    await devices.forget_dead(
        session,
        [
            DeadDevice(ticket.device_id, ticket.user_id, ticket.sent_at)
            for ticket in tickets
            if isinstance(receipts.get(ticket.ticket_id), DeadToken)
        ],
    )


_LOCK = Prepared(
    due_rows.lock(
        select(Notification.id, Notification.decision, Notification.ticket_id).where(
            Notification.id == any_(bindparam("ids", type_=ARRAY(Notification.id.type))),
            Notification.receipt_due_at.is_not(None),
        ),
        Notification.id,
    )
)
