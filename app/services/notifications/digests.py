"""Send each device one digest message at the end of quiet hours, for the notices that they held (contract 16)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import any_, bindparam, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import NotificationDecision, NotificationKind, Urgency
from app.ids import new_id
from app.models import Notification, User
from app.models.base import constant, literal_int
from app.services.notifications.notice_reading import Notice, read_stored
from app.services.notifications.push_claims import (
    changes_of,
    claimed_columns,
    give_up_lost,
    release,
    store_each,
)
from app.services.notifications.push_messages import ClaimedPush
from app.services.notifications.push_sentences import digest_body
from app.services.notifications.rules.decision_transitions import IS_HELD, Change
from app.services.notifications.rules.push_decision import decide
from app.services.retrying import due_rows
from app.services.retrying.policies import PUSH_LEASE
from app.services.retrying.retries import by_halves

_BATCH = 50
_REASON = "quiet_hours"


async def release_held(session: AsyncSession) -> int:
    """Decide again about the notices of up to 50 people whose quiet hours are over; return their number.

    What is still needed is one digest for each device; a single notice is sent unchanged. What cannot be decided or
    made is logged and stops no other. Concurrent calls handle different people.
    """
    now = utcnow()
    # The call that locks a person makes their one message.
    people = await _LOCK_PEOPLE.all(session, {"now": now})
    if not people:
        return 0
    until = now + PUSH_LEASE
    rows = await _CLAIM.all(
        session, {"user_ids": [user_id for (user_id,) in people], "now": now, "until": until}
    )
    held = await give_up_lost(session, rows, now)
    notices = await read_stored(session, [each.id for each in held], now)
    own: dict[int, list[ClaimedPush]] = defaultdict(list)
    for each in held:
        if each.id in notices:
            own[each.user_id].append(each)

    async def step(user_ids: Sequence[int]) -> None:
        async with session.begin_nested():
            await _release(session, [each for user_id in user_ids for each in own[user_id]], notices, now)

    await by_halves(list(own), step, event="push.digest_not_made", name=lambda user_id: {"user_id": user_id})
    return len({each.user_id for each in rows})


_NOW = bindparam("now", type_=Notification.created_at.type)
_IS_DUE = (
    IS_HELD,
    Notification.decision == constant(NotificationDecision.HELD_QUIET_HOURS),
    Notification.due_at <= _NOW,
)
_LOCK_PEOPLE = Prepared(
    select(User.id)
    .where(User.id.in_(select(Notification.user_id).where(*_IS_DUE)))
    .limit(literal_int(_BATCH))
    .with_for_update(key_share=True, skip_locked=True)
)
_HELD = (
    select(Notification.id)
    .where(Notification.user_id == any_(bindparam("user_ids", type_=ARRAY(User.id.type))), *_IS_DUE)
    .with_for_update(skip_locked=True)
)
_CLAIM = Prepared(
    due_rows.claim(Notification, _HELD, due_at=bindparam("until")).returning(*claimed_columns()), ClaimedPush
)


async def _release(
    session: AsyncSession, held: Sequence[ClaimedPush], notices: Mapping[UUID, Notice], now: datetime
) -> None:
    decisions = {each.id: decide(notices[each.id].context, now) for each in held}
    needed = [each for each in held if decisions[each.id].decision is NotificationDecision.PENDING]
    digested = {each.id for group in _by_device(needed) if len(group) > 1 for each in group}

    def change(each: ClaimedPush) -> list[Change]:
        decided, waited = decisions[each.id], (now - each.created_at).total_seconds()
        if decided.decision is not NotificationDecision.PENDING:
            return changes_of(each, notices[each.id], decided, now)
        if each.id not in digested:
            return [release(each, waited, due_at=now, attempts=each.attempts - 1)]
        values = {"due_at": None, "settled_at": now, "deferred_for": waited}
        return [Change(id=each.id, decision=NotificationDecision.DIGESTED, reason=_REASON, values=values)]

    stored = await store_each(session, held, change, now)
    groups = _by_device([each for each in stored if each.id in digested])
    if digests := [_digest(group, notices, now) for group in groups]:
        await session.execute(insert(Notification), digests)


def _by_device(held: Sequence[ClaimedPush]) -> Collection[Sequence[ClaimedPush]]:
    groups: dict[tuple[int, UUID], list[ClaimedPush]] = defaultdict(list)
    for each in held:
        groups[each.user_id, each.device_id].append(each)
    return groups.values()


def _digest(held: Sequence[ClaimedPush], notices: Mapping[UUID, Notice], now: datetime) -> dict[str, object]:
    digested = [notices[each.id] for each in held]
    return {
        "id": new_id(),
        "user_id": held[0].user_id,
        "kind": NotificationKind.DIGEST,
        "body": digest_body(_count_tasks(digested)),
        "urgency": _urgency(digested),
        "device_id": held[0].device_id,
        "platform": held[0].platform,
        "decision": NotificationDecision.PENDING,
        "created_at": now,
        "due_at": now,
    }


def _count_tasks(notices: Sequence[Notice]) -> dict[NotificationKind, int]:
    tasks: dict[NotificationKind, set[UUID]] = defaultdict(set)
    for notice in notices:
        tasks[NotificationKind(notice.row.kind)].add(notice.row.task_id)
    return {kind: len(ids) for kind, ids in tasks.items()}


def _urgency(notices: Sequence[Notice]) -> Urgency:
    is_low = all(notice.context.urgency is Urgency.LOW for notice in notices)
    return Urgency.LOW if is_low else Urgency.NORMAL
