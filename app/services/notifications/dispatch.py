"""The dispatcher: decides about the notices of an event for each recipient and device (contract 7.2, 16).

Every trigger writes rows with its decisions, in the transaction of the change that they report, so that a crash loses
neither. A job delivers the pending rows.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind, Platform
from app.ids import new_id
from app.models import Notification, PushCooldown, PushToken
from app.outages import is_outage
from app.services.notifications import presence
from app.services.notifications.rules.deciding import Facts, Verdict, decide
from app.services.notifications.rules.facts import COOLDOWNS, Notice, new_notices, read_notices
from app.services.notifications.rules.settling import entry
from app.services.notifications.texts import message_body

_DECISIONS = Counter("taskbeacon_push_decisions_total", "Pushes by what was decided.", ["kind", "decision"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a push can be sent to."""

    id: UUID
    platform: Platform


async def request(
    session: AsyncSession,
    kind: NotificationKind,
    run_ids: Collection[UUID],
    *,
    question_id: UUID | None = None,
) -> None:
    """Decide who is notified that these runs reached `kind`; pending notices are delivered after the commit.

    `question_id` is the question of the run, if the notice asks one. This runs in a savepoint of the caller's
    transaction: a fault here is logged and loses only the push. A fault in a check that could hold the push back does
    not lose it: the push is sent. An outage of the database breaks the transaction and is raised.
    Of two concurrent triggers of a kind for a run, one is pushed and the other falls into the cooldown.
    """
    rows: list[dict[str, Any]] = []
    for fails_open in (False, True):
        try:
            async with session.begin_nested():
                rows = await _decide_all(session, kind, run_ids, question_id, fails_open=fails_open)
                if rows:
                    await session.execute(insert(Notification), rows)
            break
        except Exception as error:
            if is_outage(error):
                # The transaction is broken and its change is lost: the caller repeats both.
                raise
            event = "push.not_requested" if fails_open else "push.decided_without_presence"
            log.exception(event, kind=kind.value, runs=[str(run_id) for run_id in run_ids])
            rows = []
    for row in rows:
        _DECISIONS.labels(kind.value, row["decision"].value).inc()
        log.info(
            "push.decided",
            kind=kind.value,
            run_id=str(row["run_id"]),
            decision=row["decision"].value,
            reason=row["reason"],
        )


async def _decide_all(
    session: AsyncSession,
    kind: NotificationKind,
    run_ids: Collection[UUID],
    question_id: UUID | None,
    *,
    fails_open: bool,
) -> list[dict[str, Any]]:
    now = utcnow()
    free = await _take_cooldowns(session, kind, run_ids, now)
    events = await read_notices(session, new_notices(kind, run_ids, question_id, now), now)
    user_ids = {event.row.user_id for event in events}
    devices = await _devices(session, user_ids)
    if not fails_open:
        task_ids = {event.row.task_id for event in events}
        watching = await presence.watching(session, task_ids=task_ids, user_ids=user_ids, now=now)
        events = [event.seen_by(watching) for event in events]
    rows: list[dict[str, Any]] = []
    for event in events:
        own = devices.get(event.row.user_id, [])
        recipient = replace(event.facts.recipient, has_device=bool(own))
        facts = replace(event.facts, recipient=recipient)
        if event.row.run_id not in free and facts.cooldown_until is None:
            facts = replace(facts, cooldown_until=now + COOLDOWNS[kind])
        verdict = decide(facts, now)
        each = own if verdict.is_for_devices else [None]
        rows.extend(_row(event, facts, verdict, device, now) for device in each)
    return rows


async def _take_cooldowns(
    session: AsyncSession, kind: NotificationKind, run_ids: Collection[UUID], now: datetime
) -> set[UUID]:
    """Start the cooldown of each run without an active one, and return these runs; the others are not notified."""
    taken = upsert(PushCooldown).values(
        # In one order everywhere, so that two transactions cannot deadlock.
        [{"run_id": run_id, "kind": kind, "expires_at": now + COOLDOWNS[kind]} for run_id in sorted(run_ids)]
    )
    statement = taken.on_conflict_do_update(
        index_elements=[PushCooldown.run_id, PushCooldown.kind],
        set_={"expires_at": taken.excluded.expires_at},
        where=PushCooldown.expires_at <= now,
    ).returning(PushCooldown.run_id)
    return set((await session.scalars(statement)).all())


async def _devices(session: AsyncSession, user_ids: Collection[int]) -> dict[int, list[Device]]:
    devices: dict[int, list[Device]] = {}
    rows = await session.execute(
        select(PushToken.user_id, PushToken.id, PushToken.platform)
        .where(PushToken.user_id.in_(user_ids))
        .order_by(PushToken.id)
    )
    for row in rows:
        devices.setdefault(row.user_id, []).append(Device(row.id, Platform(row.platform)))
    return devices


def _row(
    event: Notice, facts: Facts, verdict: Verdict, device: Device | None, now: datetime
) -> dict[str, Any]:
    row, decision = event.row, verdict.decision
    is_pending = decision is NotificationDecision.PENDING
    # A deferred notice names the device that shows the task.
    watching = facts.watching if verdict.reason == "presence" else None
    return {
        "id": new_id(),
        "task_id": row.task_id,
        "run_id": row.run_id,
        "user_id": row.user_id,
        "kind": row.kind,
        "body": message_body(
            NotificationKind(row.kind), row.title, event.push_text, question=row.question_title
        ),
        "question_id": row.question_id,
        "event_seq": row.event_seq,
        "urgency": event.urgency,
        "device_id": device.id if device else None,
        "platform": device.platform if device else None,
        "decision": decision,
        "reason": verdict.reason,
        "history": [] if is_pending else [entry(decision, verdict.reason, now)],
        "watching_device_id": watching.device_id if watching else None,
        "watching_beat_at": watching.beat_at if watching else None,
        "created_at": now,
        "due_at": now if is_pending else verdict.due_at,
        "settled_at": None if is_pending or verdict.due_at else now,
    }
