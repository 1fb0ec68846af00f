"""Store the results of webhook attempts: in the log, the delivery, and the health of the endpoint."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import bindparam, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.sender import AttemptResult
from app.clock import utcnow
from app.enums import AttemptOutcome, DeliveryError, DeliveryStatus, DisabledReason
from app.models import Base, WebhookAttempt, WebhookEndpoint, WebhookEndpointDelivery
from app.services import leases
from app.services.retrying.policies import WEBHOOK, WEBHOOK_ATTEMPTS, WEBHOOK_PROBES
from app.services.webhook_endpoints.claims import FAILING_AFTER, Claimed
from app.services.webhook_endpoints.disabling import disable
from app.statements import rows_of

_ATTEMPTS = Counter(
    "taskbeacon_webhook_deliveries_total", "Attempts to deliver webhooks, by outcome.", ["outcome"]
)
_DURATION = Histogram(
    "taskbeacon_webhook_attempt_seconds",
    "How long receivers of webhooks took.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
_NEEDED = Histogram(
    "taskbeacon_webhook_attempts",
    "Attempts until a delivery was taken or given up.",
    buckets=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
)
_DELIVERY = Base.metadata.tables[WebhookEndpointDelivery.__tablename__]
_ENDPOINT = Base.metadata.tables[WebhookEndpoint.__tablename__]
_NO_SUCCESS_FOR = timedelta(days=5)
_BLOCKED_IN_A_ROW = 20


class Health(NamedTuple):
    """The successes and failures of an endpoint, which decide when it is disabled.

    A success, and enabling it, forgets the failures. Before `probe_at` an endpoint that refuses everything gets no
    message.
    """

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
            return Health(now, self.last_failure_at, 0, None, has_exhausted=False, blocked_in_a_row=0)
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


class _Delivery(NamedTuple):
    # Not the whole row: a body has up to 20 kB.
    id: UUID
    status: DeliveryStatus
    attempts: int
    attempts_allowed: int
    due_at: datetime
    delivered_at: datetime | None


class _Endpoint(NamedTuple):
    id: UUID
    enabled: bool
    health: Health


_DELIVERY_COLUMNS = [_DELIVERY.c[name] for name in _Delivery._fields]
_ENDPOINT_COLUMNS = [_ENDPOINT.c[name] for name in ("id", "enabled", *Health._fields)]

log = structlog.get_logger(__name__)


async def settle(session: AsyncSession, attempts: Sequence[tuple[Claimed, AttemptResult]]) -> None:
    """Store the results of attempts; disable endpoints that are gone or failed for too long.

    A result of an attempt that is not the last one counts for the health only; one that is stored already, or whose
    endpoint is gone, not at all. So a call can be repeated.
    """
    now = utcnow()
    ids = {claimed.endpoint_id for claimed, _ in attempts}
    locked = leases.lock(_ENDPOINT_COLUMNS, _ENDPOINT.c.id.in_(ids))
    endpoints = {row.id: row for row in await rows_of(session, locked, _Endpoint)}
    ids = {claimed.id for claimed, _ in attempts}
    locked = leases.lock(_DELIVERY_COLUMNS, _DELIVERY.c.id.in_(ids))
    deliveries = {row.id: row for row in await rows_of(session, locked, _Delivery)}
    ended = [
        (claimed, result, _end_of(deliveries[claimed.id], claimed, result, now=now))
        for claimed, result in attempts
        if claimed.id in deliveries
    ]
    logged = await _log(session, [_log_entry(claimed, result, end) for claimed, result, end in ended])
    # Not those that were stored before.
    counted = [each for each in ended if (each[0].id, each[0].n) in logged]
    ends = []
    reasons: dict[UUID, DisabledReason] = {}
    health: dict[UUID, Health] = {}
    for claimed, result, end in counted:
        if end is not None:
            ends.append({"key": claimed.id, **end})
        exhausted = end is not None and end["status"] is DeliveryStatus.FAILED and not claimed.is_ping
        row = endpoints[claimed.endpoint_id]
        before = health.get(claimed.endpoint_id) or row.health
        after = before.after(result, now=now, exhausted=exhausted)
        health[claimed.endpoint_id] = after
        reason = after.reason_to_disable(result, now=now)
        if reason is not None and row.enabled:
            reasons.setdefault(claimed.endpoint_id, reason)
    if ends:
        await session.execute(_END, ends)
    if health:
        await session.execute(
            _HEALTH, [{"key": key, **value._asdict()} for key, value in sorted(health.items())]
        )
    for endpoint_id, reason in sorted(reasons.items()):
        await disable(session, WebhookEndpoint.id == endpoint_id, reason)
    # Last: what fails before this is settled again, and counts once.
    for claimed, result, end in counted:
        _measure(claimed, result, end)
    _log_failures(counted)


async def _log(session: AsyncSession, entries: Sequence[dict[str, Any]]) -> set[tuple[UUID, int]]:
    if not entries:
        return set()
    stored = upsert(WebhookAttempt).on_conflict_do_nothing()
    rows = await session.execute(stored.returning(WebhookAttempt.delivery_id, WebhookAttempt.n), entries)
    return {(row.delivery_id, row.n) for row in rows}


def _end_of(
    row: _Delivery, claimed: Claimed, result: AttemptResult, *, now: datetime
) -> dict[str, Any] | None:
    if row.attempts != claimed.n:
        return None
    end = {
        "status": row.status,
        "due_at": row.due_at,
        "delivered_at": row.delivered_at,
        "last_attempt_at": result.started_at,
        "leased_until": None,
        "is_manual": False,
    }
    if result.error is None:
        # Also if the delivery was cancelled meanwhile: it arrived.
        return end | {"status": DeliveryStatus.DELIVERED, "delivered_at": row.delivered_at or now}
    if row.delivered_at is not None:
        # A redelivery failed: the first delivery had arrived.
        return end | {"status": DeliveryStatus.DELIVERED}
    if end["status"] is DeliveryStatus.CANCELLED:
        return end
    attempts_left = row.attempts_allowed - row.attempts
    if result.is_gone or attempts_left <= 0:
        return end | {"status": DeliveryStatus.FAILED}
    # Counted from the end of the schedule: a redelivery begins in its middle.
    failures = max(1, WEBHOOK_ATTEMPTS - attempts_left)
    delay = WEBHOOK.delay(failures, result.retry_after)
    return end | {"status": DeliveryStatus.PENDING, "due_at": now + timedelta(seconds=delay)}


def _log_entry(claimed: Claimed, result: AttemptResult, end: Mapping[str, Any] | None) -> dict[str, Any]:
    is_pending = end is not None and end["status"] is DeliveryStatus.PENDING
    return {
        "delivery_id": claimed.id,
        "n": claimed.n,
        "is_manual": claimed.is_manual,
        "started_at": result.started_at,
        "duration_ms": round(result.duration / timedelta(milliseconds=1)),
        "outcome": AttemptOutcome.DELIVERED if result.error is None else AttemptOutcome.FAILED,
        "status_code": result.status_code,
        "error": result.error,
        "response_excerpt": result.excerpt,
        "resolved_ip": result.address,
        "next_attempt_at": end["due_at"] if end is not None and is_pending else None,
    }


def _measure(claimed: Claimed, result: AttemptResult, end: Mapping[str, Any] | None) -> None:
    _ATTEMPTS.labels(result.error or "delivered").inc()
    _DURATION.observe(result.duration.total_seconds())
    if end is not None and end["status"] is not DeliveryStatus.PENDING:
        _NEEDED.observe(claimed.n)


def _log_failures(attempts: Sequence[tuple[Claimed, AttemptResult, object]]) -> None:
    alike: dict[tuple[UUID, DeliveryError, int | None], list[Claimed]] = defaultdict(list)
    for claimed, result, _ in attempts:
        if result.error is not None:
            alike[claimed.endpoint_id, result.error, result.status_code].append(claimed)
    for (endpoint_id, error, status_code), failed in alike.items():
        log.info(
            "webhook.not_taken",
            endpoint_id=str(endpoint_id),
            error=error,
            status_code=status_code,
            messages=len(failed),
            # One of them.
            delivery_id=str(failed[0].id),
            attempt=failed[0].n,
        )


_END = (
    update(_DELIVERY)
    .where(_DELIVERY.c.id == bindparam("key"))
    .values(
        {
            name: bindparam(name)
            for name in ("status", "due_at", "delivered_at", "last_attempt_at", "leased_until", "is_manual")
        }
    )
)
_HEALTH = (
    update(_ENDPOINT)
    .where(_ENDPOINT.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in Health._fields})
)
