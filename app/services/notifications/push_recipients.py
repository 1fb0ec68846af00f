"""Decide, for each recipient and device, whether an event leads to a push (contract 7.2, 16), in its transaction."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import any_, bindparam, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import after_commit
from app.db.statements import Prepared, rows_of
from app.dialogue.agent_reports import AgentMessage, MessageOutcome
from app.enums import NotificationDecision, NotificationKind, Platform, PushText
from app.ids import new_id
from app.json_types import JsonDict
from app.models import Notification, PushToken, User
from app.models.devices.push_tokens import HAS_ADDRESS
from app.outages import is_outage
from app.services.notifications import presence
from app.services.notifications.notice_reading import Notice, add_watching, new_notices
from app.services.notifications.push_sentences import message_body, reason_in_words
from app.services.notifications.rules.cooldowns import COOLDOWNS, end_cooldowns, reached_limit, take_cooldowns
from app.services.notifications.rules.decision_transitions import entry
from app.services.notifications.rules.push_decision import FromAgent, NoticeContext, NoticeDecision, decide
from app.services.views.verification_texts import summarize

_DECISIONS = Counter("taskbeacon_push_decisions_total", "Pushes by what was decided.", ["kind", "decision"])
_FAILED = Counter(
    "taskbeacon_push_decisions_failed_total",
    "Events of runs whose pushes a defect lost before they were decided.",
    ["kind"],
)

log = structlog.get_logger(__name__)


class Device(NamedTuple):
    """A device, with a push token, of a user with an active account."""

    user_id: int
    id: UUID
    platform: Platform


async def notify_people(
    session: AsyncSession,
    kind: NotificationKind,
    run_ids: Collection[UUID],
    *,
    question_id: UUID | None = None,
) -> None:
    """Decide which pushes to send to the creators of the runs' tasks for an event, and store the decisions.

    Of two concurrent calls of a kind for a run, one leads to a push. An error other than an outage is logged and
    counted: the pushes are lost, the caller's change is kept.
    """
    trigger = Trigger(kind, run_ids, question_id)
    try:
        await _notify(session, trigger)
    except Exception as error:
        if is_outage(error):
            # The transaction is broken, and the change with it: the caller repeats both.
            raise
        after_commit(session, partial(_count_failed, trigger, error))


async def notify_for_agent(session: AsyncSession, run_id: UUID, message: AgentMessage) -> MessageOutcome:
    """Decide whether a message of the run's agent is pushed to the task's creator, and store that (contract 16.13).

    Return the decision, its reason in words, and the number of devices. A message that was decided before keeps its
    decision; concurrent ones of a run are decided one after the other.
    """
    decisions = await _find_decisions(session, run_id, message)
    if not decisions:
        rows = await _notify(session, Trigger(NotificationKind.NOTIFY_USER, [run_id], message=message))
        decisions = [(row.decided.decision, row.decided.reason) for row in rows]
    if not decisions:
        # The creator's account is gone.
        return MessageOutcome(NotificationDecision.NO_ACCESS, "this task has no person to notify")
    decision, reason = decisions[0]
    return MessageOutcome(decision, reason_in_words(decision, reason), len(decisions))


async def _find_decisions(
    session: AsyncSession, run_id: UUID, message: AgentMessage
) -> list[tuple[NotificationDecision, str | None]]:
    moment = select(Notification.created_at).where(Notification.id == message.id).scalar_subquery()
    decisions = (
        select(Notification.decision, Notification.reason)
        .where(
            Notification.run_id == run_id,
            Notification.kind == NotificationKind.NOTIFY_USER,
            Notification.created_at == moment,
        )
        .order_by(Notification.id)
    )
    return [
        (NotificationDecision(decision), reason) for decision, reason in await rows_of(session, decisions)
    ]


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event in runs that people may be notified of, perhaps with a question or a message of the agent."""

    kind: NotificationKind
    run_ids: Collection[UUID]
    question_id: UUID | None = None
    message: AgentMessage | None = None


def _count_failed(trigger: Trigger, error: Exception) -> None:
    kind, run_ids = trigger.kind.value, trigger.run_ids
    _FAILED.labels(kind).inc(len(run_ids))
    log.error("push.not_requested", kind=kind, runs=[str(run_id) for run_id in run_ids], exc_info=error)


class _Decided(NamedTuple):
    run_id: UUID
    device: Device | None
    decided: NoticeDecision
    # The values of the row that records this decision.
    values: dict[str, object]


async def _notify(session: AsyncSession, trigger: Trigger) -> list[_Decided]:
    async def decide_and_store(*, with_presence: bool) -> list[_Decided]:
        rows = await _decide_all(session, trigger, with_presence=with_presence)
        if rows:
            if trigger.message is not None:
                rows[0].values["id"] = trigger.message.id
            await session.execute(insert(Notification), [row.values for row in rows])
        return rows

    rows = await presence.without_if_failing(session, decide_and_store, kind=trigger.kind.value)

    def count() -> None:
        for row in rows:
            decision, kind = row.decided.decision.value, trigger.kind.value
            _DECISIONS.labels(kind, decision).inc()
            log.info(
                "push.decided",
                kind=kind,
                run_id=str(row.run_id),
                decision=decision,
                reason=row.decided.reason,
            )

    after_commit(session, count)
    return rows


async def _decide_all(session: AsyncSession, trigger: Trigger, *, with_presence: bool) -> list[_Decided]:
    now, kind = utcnow(), trigger.kind
    free = await take_cooldowns(session, kind, trigger.run_ids, now)
    events = await new_notices(
        session,
        kind,
        trigger.run_ids,
        now,
        question_id=trigger.question_id,
        urgency=trigger.message.urgency if trigger.message else None,
    )
    user_ids = {event.row.user_id for event in events}
    devices: dict[int, list[Device]] = defaultdict(list)
    for device in await _DEVICES.all(session, {"user_ids": list(user_ids)}):
        devices[device.user_id].append(device)
    if with_presence:
        events = await add_watching(session, events, now)
    rows: list[_Decided] = []
    for event in events:
        own = devices[event.row.user_id]
        recipient = replace(event.context.recipient, has_device=bool(own))
        context = replace(event.context, recipient=recipient)
        is_free = event.row.run_id in free
        if trigger.message is not None:
            reached = await reached_limit(session, event.row.run_id, is_free=is_free)
            context = replace(context, from_agent=FromAgent(reached))
        elif not is_free and context.cooldown_until is None:
            context = replace(context, cooldown_until=now + COOLDOWNS[kind])
        decided = decide(context, now)
        for target in own if decided.is_for_devices else [None]:
            values = _values(event, context, decided, target, now) | _message_text(trigger, event)
            rows.append(_Decided(event.row.run_id, target, decided, values))
    if trigger.message is not None and not any(row.device for row in rows):
        await end_cooldowns(session, kind, free)
    return rows


def _message_text(trigger: Trigger, event: Notice) -> JsonDict:
    if trigger.message is None:
        return {}
    if event.push_text is PushText.GENERIC:
        return {"title": None}
    return {"title": trigger.message.title, "body": trigger.message.message}


_DEVICES = Prepared(
    select(PushToken.user_id, PushToken.id, PushToken.platform)
    .join(User, User.id == PushToken.user_id)
    .where(
        PushToken.user_id == any_(bindparam("user_ids", type_=ARRAY(PushToken.user_id.type))),
        HAS_ADDRESS,
        User.is_active,
    )
    .order_by(PushToken.id),
    Device,
)


def _values(
    event: Notice, context: NoticeContext, decided: NoticeDecision, device: Device | None, now: datetime
) -> JsonDict:
    row, decision = event.row, decided.decision
    is_pending = decision is NotificationDecision.PENDING
    # A deferred notice names the device that shows the task.
    watching = context.watching if decided.reason == "presence" else None
    return {
        "id": new_id(),
        "task_id": row.task_id,
        "run_id": row.run_id,
        "user_id": row.user_id,
        "kind": row.kind,
        "body": message_body(
            NotificationKind(row.kind),
            row.title,
            event.push_text,
            question=row.question and row.question.title,
            proof=summarize(row.verification),
        ),
        "question_id": row.question_id,
        "event_seq": row.event_seq,
        "urgency": event.urgency,
        "device_id": device.id if device else None,
        "platform": device.platform if device else None,
        "decision": decision,
        "reason": decided.reason,
        "history": [] if is_pending else [entry(decision, decided.reason, now)],
        "watching_device_id": watching.device_id if watching else None,
        "watching_beat_at": watching.beat_at if watching else None,
        "created_at": now,
        "due_at": now if is_pending else decided.due_at,
        "settled_at": None if is_pending or decided.due_at else now,
    }


async def push_to_user(session: AsyncSession, user_id: int, kind: NotificationKind, body: str) -> None:
    """Add a push with this text, which nothing delays, for each device of a user with an active account."""
    now = utcnow()
    rows: list[dict[str, object]] = [
        {
            "id": new_id(),
            "user_id": user_id,
            "kind": kind,
            "body": body,
            "device_id": device.id,
            "platform": device.platform,
            "decision": NotificationDecision.PENDING,
            "created_at": now,
            "due_at": now,
        }
        for device in await _DEVICES.all(session, {"user_ids": [user_id]})
    ]
    if rows:
        await session.execute(insert(Notification), rows)
