"""Claim webhook deliveries that are due, only a few for each endpoint.

A message that a killed worker was sending is sent again under the same id: twice is better than not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import after_commit
from app.db.statements import Prepared
from app.enums import DeliveryStatus
from app.models import Run, WebhookEndpoint, WebhookEndpointDelivery
from app.models.base import constant, literal_int
from app.security.secrets import Cipher, DecryptionError
from app.services.retrying import due_rows
from app.services.retrying.policies import WEBHOOK_LEASE, WEBHOOK_LOST_ATTEMPTS
from app.services.webhook_endpoints.signing import Message, live_secrets

# The most parallel attempts of one endpoint: all 20 of a project may hang, and leave room for others.
PER_ENDPOINT = 8
# An endpoint with this many failures in a row is taken to refuse everything, and gets one message at a time.
FAILING_AFTER = 4
# Serialises claims, so that each counts the deliveries that others have claimed.
_CLAIM_LOCK = 0x7765_6268

log = structlog.get_logger(__name__)


class DueDelivery(NamedTuple):
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_type: str
    body: str
    attempts: int
    attempts_allowed: int
    due_at: datetime
    is_manual: bool
    traceparent: str | None
    url: str
    encrypted_secret: str
    encrypted_old_secrets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A webhook delivery that this process has claimed: its row, with this attempt counted, and its message."""

    row: DueDelivery = field(repr=False)
    message: Message


async def claim_due(session: AsyncSession, *, limit: int, cipher: Cipher) -> list[Claimed]:
    """Claim up to `limit` due deliveries for `WEBHOOK_LEASE`; concurrent calls wait for each other.

    An endpoint has at most `PER_ENDPOINT` at a time; one that keeps failing has one, at the times of its probes. A
    claim counts as an attempt. A delivery whose results were lost is claimed `WEBHOOK_LOST_ATTEMPTS` times more,
    then it ends. If no key decrypts an endpoint's secret, its delivery is tried after the lease, uncounted.
    """
    await session.execute(text(f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})"))
    # After the lock, so that the lease is whole, and the statement sees the claims made while this one waited.
    now = utcnow()
    rows = await _CLAIM.all(session, {"now": now, "until": now + WEBHOOK_LEASE, "limit": limit})
    lost, unsigned, claimed = [], [], []
    for row in rows:
        secrets = _secrets(row, cipher, now=now)
        if row.attempts > row.attempts_allowed + WEBHOOK_LOST_ATTEMPTS:
            after_commit(session, partial(log.error, "webhook.results_lost", delivery_id=str(row.id)))
            lost.append(row.id)
        elif not secrets:
            unsigned.append(row)
        else:
            message = Message(id=row.event_id, url=row.url, body=row.body, secrets=secrets)
            claimed.append(Claimed(row, message))
    if lost:
        await session.execute(_uncount(lost).values(_ENDED))
    if unsigned:
        # When their leases end, the operator may have put the key back.
        await session.execute(_uncount([row.id for row in unsigned]))
        for endpoint_id in sorted({row.endpoint_id for row in unsigned}):
            unread = partial(log.error, "webhook.secret_unreadable", endpoint_id=str(endpoint_id))
            after_commit(session, unread)
    return claimed


def _uncount(ids: Sequence[UUID]) -> Update:
    delivery = WebhookEndpointDelivery
    uncounted = update(delivery).where(delivery.id.in_(ids)).values(attempts=delivery.attempts - 1)
    return uncounted.execution_options(synchronize_session=False)


_ENDED = {
    "status": case(
        (WebhookEndpointDelivery.delivered_at.is_not(None), constant(DeliveryStatus.DELIVERED)),
        else_=constant(DeliveryStatus.FAILED),
    ),
    "leased_until": None,
    "is_manual": False,
}


def _secrets(row: DueDelivery, cipher: Cipher, *, now: datetime) -> tuple[str, ...]:
    try:
        return tuple(live_secrets(row.encrypted_secret, row.encrypted_old_secrets, cipher, now=now))
    except DecryptionError:
        return ()


# Not a parameter: a plan for any value of it could not use the indexes of pending deliveries.
_PENDING = constant(DeliveryStatus.PENDING)
# Claimed and not settled: under way, or lost with its worker.
_CLAIMED = and_(WebhookEndpointDelivery.status == _PENDING, WebhookEndpointDelivery.leased_until.is_not(None))


_NOW = bindparam("now", type_=WebhookEndpointDelivery.due_at.type)
_IS_DUE = and_(
    WebhookEndpointDelivery.status == _PENDING,
    WebhookEndpointDelivery.due_at <= _NOW,
    or_(WebhookEndpointDelivery.leased_until.is_(None), WebhookEndpointDelivery.leased_until <= _NOW),
)


def _is_failing() -> ColumnElement[bool]:
    return WebhookEndpoint.consecutive_failures >= literal_int(FAILING_AFTER)


def _candidates() -> CTE:
    delivery, endpoint = WebhookEndpointDelivery, WebhookEndpoint
    under_way = (
        select(delivery.endpoint_id, func.count().label("count"))
        .where(_CLAIMED, delivery.leased_until > _NOW)
        .group_by(delivery.endpoint_id)
        .cte("under_way")
    )
    own = select(delivery.id, delivery.due_at).where(delivery.endpoint_id == endpoint.id, _IS_DUE)
    # The limit is a constant: the planner takes any other for a large one, and sorts all that are due.
    oldest = own.where(~_is_failing()).order_by(delivery.due_at, delivery.id).limit(literal_int(PER_ENDPOINT))
    # A failing endpoint is probed with one message: one that a person asked for; else, alternating with each failure,
    # the oldest, so that its retries keep their schedule, and the newest, in case it refuses the oldest for good.
    is_first = endpoint.consecutive_failures % literal_int(2) == literal_int(0)
    age = func.extract("epoch", delivery.created_at)
    probe = (
        own.where(
            _is_failing(),
            or_(endpoint.probe_at.is_(None), endpoint.probe_at <= _NOW),
            under_way.c.count.is_(None),
        )
        .order_by(delivery.is_manual.desc(), case((is_first, age), else_=-age))
        .limit(literal_int(1))
    )
    due = union_all(*(each.correlate(endpoint, under_way) for each in (oldest, probe))).lateral("due")
    # Its number among the attempts of its endpoint, after those that are under way.
    place = func.coalesce(under_way.c.count, 0) + func.row_number().over(
        partition_by=endpoint.id, order_by=(due.c.due_at, due.c.id)
    )
    return (
        select(due.c.id, due.c.due_at, place.label("place"))
        .select_from(endpoint)
        .outerjoin(under_way, under_way.c.endpoint_id == endpoint.id)
        .join(due, true())
        .cte("candidates")
    )


def _chosen() -> Select[Any]:
    candidates = _candidates()
    # The first delivery of each endpoint, then the second: no endpoint waits for the many deliveries of another.
    in_turn = (
        select(candidates.c.id)
        .where(candidates.c.place <= literal_int(PER_ENDPOINT))
        .order_by(candidates.c.place, candidates.c.due_at)
        .limit(bindparam("limit", type_=Integer))
        .cte("in_turn")
    )
    return (
        select(WebhookEndpointDelivery.id)
        .join(in_turn, in_turn.c.id == WebhookEndpointDelivery.id)
        # Checked again at the lock: a delivery that was settled, cancelled or redelivered is left for the next claim.
        .where(_IS_DUE)
        .with_for_update(skip_locked=True, of=WebhookEndpointDelivery)
    )


def _claim_statement() -> Select[Any]:
    delivery, endpoint = WebhookEndpointDelivery, WebhookEndpoint
    taken = (
        due_rows.claim(delivery, _chosen(), leased_until=bindparam("until", type_=delivery.leased_until.type))
        .returning(
            delivery.id,
            delivery.endpoint_id,
            delivery.event_id,
            delivery.event_type,
            delivery.body,
            delivery.attempts,
            delivery.attempts_allowed,
            delivery.due_at,
            delivery.is_manual,
            select(Run.traceparent).where(Run.id == delivery.run_id).scalar_subquery().label("traceparent"),
        )
        .cte("taken")
    )
    return select(taken, endpoint.url, endpoint.encrypted_secret, endpoint.encrypted_old_secrets).join(
        endpoint, endpoint.id == taken.c.endpoint_id
    )


_CLAIM = Prepared(_claim_statement(), DueDelivery)


async def next_due(session: AsyncSession) -> datetime | None:
    """Return the time, also past, from which the next delivery can be claimed; None if none is pending."""
    (due_at,) = await _NEXT.one(session)
    return due_at


def _next_statement() -> Select[datetime | None]:
    delivery, endpoint = WebhookEndpointDelivery, WebhookEndpoint
    # By the index of each endpoint: there may be a million that are due.
    free = (
        select(delivery.due_at)
        .where(
            delivery.endpoint_id == endpoint.id, delivery.status == _PENDING, delivery.leased_until.is_(None)
        )
        .correlate(endpoint)
        .order_by(delivery.due_at)
        .limit(1)
        .lateral("free")
    )
    # If the endpoint refuses everything, it is free at its next probe. NULL: at once.
    free_at = func.greatest(free.c.due_at, case((_is_failing(), endpoint.probe_at)))
    first_free = select(func.min(free_at)).select_from(endpoint).join(free, true()).scalar_subquery()
    held_until = func.greatest(delivery.due_at, delivery.leased_until)
    first_held = select(func.min(held_until)).where(_CLAIMED).scalar_subquery()
    return select(func.least(first_free, first_held).label("due_at"))


_NEXT = Prepared(_next_statement())
