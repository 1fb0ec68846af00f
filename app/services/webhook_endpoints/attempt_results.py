"""Store the results of webhook attempts: in the log, the delivery, and the health of the endpoint."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import bindparam, case, exists, null, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.webhooks.webhook_messages import AttemptResult
from app.clock import utcnow
from app.db import after_commit
from app.db.statements import rows_of
from app.enums import AttemptOutcome, DeliveryError, DeliveryStatus, DisabledReason, EventType
from app.models import Base, WebhookAttempt, WebhookEndpoint, WebhookEndpointDelivery
from app.models.base import constant
from app.services.retrying import due_rows
from app.services.retrying.policies import WEBHOOK, WEBHOOK_ATTEMPTS
from app.services.webhook_endpoints.delivery_claims import Claimed
from app.services.webhook_endpoints.disabling import Health, disable

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


class _Delivery(NamedTuple):
    # Not the whole row: a body has up to 20 kB.
    id: UUID
    status: DeliveryStatus
    attempts: int
    attempts_allowed: int
    due_at: datetime
    delivered_at: datetime | None
    is_manual: bool


class _End(NamedTuple):
    """The columns of a delivery after an attempt, which was the last one."""

    status: DeliveryStatus
    due_at: datetime
    delivered_at: datetime | None
    last_attempt_at: datetime
    is_manual: bool = False
    leased_until: None = None

    @property
    def is_pending(self) -> bool:
        return self.status is DeliveryStatus.PENDING


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
    ids = {claimed.row.endpoint_id for claimed, _ in attempts}
    locked = due_rows.lock(select(*_ENDPOINT_COLUMNS).where(_ENDPOINT.c.id.in_(ids)), _ENDPOINT.c.id)
    endpoints = {row.id: row for row in await rows_of(session, locked, _Endpoint)}
    ids = {claimed.row.id for claimed, _ in attempts}
    locked = due_rows.lock(select(*_DELIVERY_COLUMNS).where(_DELIVERY.c.id.in_(ids)), _DELIVERY.c.id)
    deliveries = {row.id: row for row in await rows_of(session, locked, _Delivery)}
    ended = [
        (claimed, result, _end_of(deliveries[claimed.row.id], claimed, result, now=now))
        for claimed, result in attempts
        if claimed.row.id in deliveries
    ]
    logged = await _log(session, [_log_entry(claimed, result, end) for claimed, result, end in ended])
    # An attempt that was stored before does not count again.
    counted = [each for each in ended if (each[0].row.id, each[0].row.attempts) in logged]
    health, reasons = _tally(counted, endpoints, now=now)
    if ends := [{"key": claimed.row.id, **end._asdict()} for claimed, _, end in counted if end is not None]:
        await session.execute(_END, ends)
    if health:
        await session.execute(
            _HEALTH, [{"key": key, **value._asdict()} for key, value in sorted(health.items())]
        )
    for endpoint_id, reason in sorted(reasons.items()):
        await disable(session, WebhookEndpoint.id == endpoint_id, reason)

    def count() -> None:
        for claimed, result, end in counted:
            _measure(claimed, result, end)
        _log_failures(counted)

    # After the commit: a settlement that fails is repeated, by halves.
    after_commit(session, count)


def _tally(
    counted: Sequence[tuple[Claimed, AttemptResult, _End | None]],
    endpoints: Mapping[UUID, _Endpoint],
    *,
    now: datetime,
) -> tuple[dict[UUID, Health], dict[UUID, DisabledReason]]:
    health: dict[UUID, Health] = {}
    reasons: dict[UUID, DisabledReason] = {}
    for claimed, result, end in counted:
        exhausted = (
            end is not None
            and end.status is DeliveryStatus.FAILED
            and claimed.row.event_type != EventType.PING
        )
        row = endpoints[claimed.row.endpoint_id]
        before = health.get(claimed.row.endpoint_id) or row.health
        after = before.after(result, now=now, exhausted=exhausted)
        health[claimed.row.endpoint_id] = after
        reason = after.reason_to_disable(result, now=now)
        if reason is not None and row.enabled:
            reasons.setdefault(claimed.row.endpoint_id, reason)
    return health, reasons


async def _log(session: AsyncSession, entries: Sequence[dict[str, object]]) -> set[tuple[UUID, int]]:
    if not entries:
        return set()
    stored = upsert(WebhookAttempt).on_conflict_do_nothing()
    return set(
        await rows_of(session, stored.returning(WebhookAttempt.delivery_id, WebhookAttempt.n), values=entries)
    )


def _end_of(row: _Delivery, claimed: Claimed, result: AttemptResult, *, now: datetime) -> _End | None:
    if row.attempts != claimed.row.attempts:
        return None
    end = _End(row.status, row.due_at, row.delivered_at, last_attempt_at=result.started_at)
    is_asked_again = end.is_pending and row.due_at != claimed.row.due_at
    if is_asked_again and result.error is not None and not result.is_gone:
        return end._replace(is_manual=row.is_manual)
    if result.error is None or row.delivered_at is not None:
        # The message has arrived, even if its delivery was cancelled meanwhile or a redelivery fails.
        return end._replace(status=DeliveryStatus.DELIVERED, delivered_at=row.delivered_at or now)
    if end.status is DeliveryStatus.CANCELLED:
        return end
    attempts_left = row.attempts_allowed - row.attempts
    if result.is_gone or attempts_left <= 0:
        return end._replace(status=DeliveryStatus.FAILED)
    # Counted from the end of the schedule: a redelivery begins in its middle.
    failures = max(1, WEBHOOK_ATTEMPTS - attempts_left)
    delay = WEBHOOK.delay(failures, result.retry_after)
    return end._replace(status=DeliveryStatus.PENDING, due_at=now + timedelta(seconds=delay))


def _log_entry(claimed: Claimed, result: AttemptResult, end: _End | None) -> dict[str, object]:
    return {
        "delivery_id": claimed.row.id,
        "n": claimed.row.attempts,
        "is_manual": claimed.row.is_manual,
        "started_at": result.started_at,
        "duration_ms": round(result.duration / timedelta(milliseconds=1)),
        "outcome": AttemptOutcome.DELIVERED if result.error is None else AttemptOutcome.FAILED,
        "status_code": result.status_code,
        "error": result.error,
        "response_excerpt": result.excerpt,
        "resolved_ip": result.address,
        "next_attempt_at": end.due_at if end is not None and end.is_pending else None,
    }


def _measure(claimed: Claimed, result: AttemptResult, end: _End | None) -> None:
    _ATTEMPTS.labels(result.error or "delivered").inc()
    _DURATION.observe(result.duration.total_seconds())
    if end is not None and not end.is_pending:
        _NEEDED.observe(claimed.row.attempts)


def _log_failures(attempts: Sequence[tuple[Claimed, AttemptResult, object]]) -> None:
    alike: dict[tuple[UUID, DeliveryError, int | None], list[Claimed]] = defaultdict(list)
    for claimed, result, _ in attempts:
        if result.error is not None:
            alike[claimed.row.endpoint_id, result.error, result.status_code].append(claimed)
    for (endpoint_id, error, status_code), failed in alike.items():
        log.info(
            "webhook.not_taken",
            endpoint_id=str(endpoint_id),
            error=error,
            status_code=status_code,
            messages=len(failed),
            delivery_id=str(failed[0].row.id),
            attempt=failed[0].row.attempts,
        )


_END = (
    update(_DELIVERY)
    .where(_DELIVERY.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in _End._fields})
)
_PROBE_AT = bindparam("probe_at", type_=_ENDPOINT.c.probe_at.type)
_IS_ASKED_FOR = exists().where(
    _DELIVERY.c.endpoint_id == bindparam("key"),
    _DELIVERY.c.status == constant(DeliveryStatus.PENDING),
    _DELIVERY.c.is_manual,
    _DELIVERY.c.leased_until.is_(None),
)
_HEALTH = (
    update(_ENDPOINT)
    .where(_ENDPOINT.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in Health._fields})
    # A message that a person has requested since the attempt began does not wait for the probe.
    .values(probe_at=case((_PROBE_AT.is_not(None) & _IS_ASKED_FOR, null()), else_=_PROBE_AT))
)
