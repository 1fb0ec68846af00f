"""Disable webhook endpoints that fail or have lost their owner; notify the owner by push and by event."""

from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.webhook_messages import AttemptResult
from app.clock import utcnow
from app.db import after_commit
from app.db.statements import rows_of
from app.enums import DeliveryError, DisabledReason, EventType, NotificationKind
from app.models import User, WebhookEndpoint
from app.services.access.visibility import active_member
from app.services.events import ledger
from app.services.notifications.push_recipients import push_to_user
from app.services.notifications.push_sentences import message_body
from app.services.retrying.policies import WEBHOOK_PROBES
from app.services.webhook_endpoints.delivery_claims import FAILING_AFTER
from app.services.webhook_endpoints.registration import FORGIVEN, cancel_pending

_NO_SUCCESS_FOR = timedelta(days=5)
_BLOCKED_IN_A_ROW = 20

log = structlog.get_logger(__name__)


class Health(NamedTuple):
    last_success_at: datetime | None
    last_failure_at: datetime | None
    consecutive_failures: int
    failing_since: datetime | None
    has_exhausted: bool
    blocked_in_a_row: int
    probe_at: datetime | None = None

    def after(self, result: AttemptResult, *, now: datetime, exhausted: bool) -> "Health":
        """Return the health after one more attempt; `exhausted`: it was the last one of its message."""
        if result.error is None:
            return self._replace(last_success_at=now, **FORGIVEN)
        is_blocked = result.error is DeliveryError.BLOCKED_ADDRESS
        failing_since = self.failing_since or now
        is_failing = self.consecutive_failures + 1 >= FAILING_AFTER
        return self._replace(
            last_failure_at=now,
            consecutive_failures=self.consecutive_failures + 1,
            failing_since=failing_since,
            has_exhausted=self.has_exhausted or exhausted,
            blocked_in_a_row=self.blocked_in_a_row + 1 if is_blocked else 0,
            probe_at=WEBHOOK_PROBES.next_at(failing_since, now) if is_failing else None,
        )

    def reason_to_disable(self, result: AttemptResult, *, now: datetime) -> DisabledReason | None:
        """Return why the endpoint is disabled after this attempt, which this health includes; None if it is not."""
        if result.is_gone:
            return DisabledReason.GONE
        if self.blocked_in_a_row >= _BLOCKED_IN_A_ROW:
            return DisabledReason.BLOCKED_ADDRESS
        is_long = self.failing_since is not None and now - self.failing_since >= _NO_SUCCESS_FOR
        return DisabledReason.NO_SUCCESS if is_long and self.has_exhausted else None


class _Disabled(NamedTuple):
    id: UUID
    project_id: int
    created_by_id: int
    url: str


async def disable(session: AsyncSession, condition: ColumnElement[bool], reason: DisabledReason) -> int:
    """Disable endpoints, cancel their pending deliveries, and notify their creators; return how many."""
    now = utcnow()
    disabled = (
        update(WebhookEndpoint)
        .where(condition, WebhookEndpoint.enabled)
        .values(enabled=False, disabled_reason=reason, updated_at=now)
        .returning(
            WebhookEndpoint.id, WebhookEndpoint.project_id, WebhookEndpoint.created_by_id, WebhookEndpoint.url
        )
    )
    rows = await rows_of(session, disabled, _Disabled)
    if rows:
        await cancel_pending(session, [row.id for row in rows])
    for row in rows:
        await ledger.record(
            session,
            EventType.WEBHOOK_ENDPOINT_DISABLED,
            project_id=row.project_id,
            user_id=row.created_by_id,
            occurred_at=now,
            data={"endpoint_id": str(row.id), "reason": reason},
        )
        kind = NotificationKind.WEBHOOK_DISABLED
        # Only the host: the path may contain a secret.
        await push_to_user(
            session, row.created_by_id, kind, message_body(kind, urlsplit(row.url).hostname or "")
        )
        after_commit(
            session, partial(log.warning, "webhook.endpoint_disabled", endpoint_id=str(row.id), reason=reason)
        )
    return len(rows)


async def disable_of_user(
    session: AsyncSession, user_id: int, reason: DisabledReason, *, project_id: int | None = None
) -> None:
    condition = WebhookEndpoint.created_by_id == user_id
    if project_id is not None:
        condition &= WebhookEndpoint.project_id == project_id
    await disable(session, condition, reason)


async def disable_orphaned(session: AsyncSession) -> int:
    """Disable the endpoints whose creators are not active members any more; return how many. A locked one waits."""
    is_active = select(User.id).where(User.id == WebhookEndpoint.created_by_id, User.is_active).exists()
    member = active_member(WebhookEndpoint.created_by_id, WebhookEndpoint.project_id)
    closed = 0
    for orphaned, reason in (
        (~is_active, DisabledReason.CREATOR_DEACTIVATED),
        (~member, DisabledReason.CREATOR_LEFT),
    ):
        found = select(WebhookEndpoint.id).where(orphaned, WebhookEndpoint.enabled)
        ids = (await session.scalars(found.with_for_update(key_share=True, skip_locked=True))).all()
        closed += await disable(session, WebhookEndpoint.id.in_(ids), reason)
    return closed
