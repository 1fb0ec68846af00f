"""Send each device one digest message at the end of quiet hours, for the notices that they held (contract 16)."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind, Urgency
from app.ids import new_id
from app.models import Notification, User
from app.models.base import constant, literal_int
from app.services.notifications.claims import hold_or_drop, notices_of, release
from app.services.notifications.rules.deciding import decide
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.facts import Notice
from app.services.notifications.rules.settling import IS_HELD
from app.services.notifications.texts import digest_body
from app.statements import Prepared

# The most people of one transaction.
_BATCH = 50
_REASON = "quiet_hours"


async def release_held(session: AsyncSession) -> int:
    """Decide again about notices that quiet hours have held, once the quiet hours of their person are over.

    If several notices to a device are still needed, one digest message replaces them. A single one is sent unchanged.
    Return the number of people found with such notices, at most 50; 0 means that there were none. Concurrent calls
    handle different people.
    """
    now = utcnow()
    is_due = (
        IS_HELD,
        Notification.decision == NotificationDecision.HELD_QUIET_HOURS,
        Notification.due_at <= now,
    )
    people = {row["user_id"] for row in await _PEOPLE.all(session, {"now": now})}
    if not people:
        return 0
    # The call that locks a person makes their one message.
    own = await session.scalars(
        select(User.id)
        .where(User.id.in_(people))
        .order_by(User.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    held = await session.execute(
        select(Notification.id, Notification.user_id, Notification.device_id, Notification.platform)
        .where(Notification.user_id.in_(own.all()), *is_due)
        .order_by(Notification.id)
        .with_for_update()
    )
    await _decide(session, held.all(), now)
    return len(people)


_PEOPLE = Prepared(
    select(Notification.user_id)
    .where(
        IS_HELD,
        Notification.decision == constant(NotificationDecision.HELD_QUIET_HOURS),
        Notification.due_at <= bindparam("now", type_=Notification.created_at.type),
    )
    .distinct()
    .limit(literal_int(_BATCH))
)


async def _decide(session: AsyncSession, held: Sequence[Any], now: datetime) -> None:
    notices = await notices_of(session, [row.id for row in held], now)
    changes: list[Change] = []
    needed: dict[tuple[int, UUID, str], list[Notice]] = defaultdict(list)
    for row in held:
        notice = notices[row.id]
        verdict = decide(notice.facts, now)
        if verdict.decision is NotificationDecision.PENDING:
            needed[row.user_id, row.device_id, row.platform].append(notice)
        else:
            changes.append(hold_or_drop(notice, verdict, now))
    digests = []
    for (user_id, device_id, platform), own in needed.items():
        waits = [(now - notice.row["created_at"]).total_seconds() for notice in own]
        if len(own) == 1:
            changes.append(release(own[0].row["key"], waits[0], due_at=now))
            continue
        changes += [
            Change(
                id=notice.row["key"],
                decision=NotificationDecision.DIGESTED,
                reason=_REASON,
                values={"due_at": None, "settled_at": now, "deferred_for": wait},
            )
            for notice, wait in zip(own, waits, strict=True)
        ]
        digests.append(
            {
                "id": new_id(),
                "user_id": user_id,
                "kind": NotificationKind.DIGEST,
                "body": digest_body(_count_tasks(own)),
                "urgency": _urgency(own),
                "device_id": device_id,
                "platform": platform,
                "decision": NotificationDecision.PENDING,
                "created_at": now,
                "due_at": now,
            }
        )
    await store(session, changes, now)
    if digests:
        await session.execute(insert(Notification), digests)


def _count_tasks(notices: Sequence[Notice]) -> dict[NotificationKind, int]:
    """Return, for each kind of notice, the number of tasks that these notices are about."""
    tasks: dict[NotificationKind, set[UUID]] = defaultdict(set)
    for notice in notices:
        tasks[NotificationKind(notice.row["kind"])].add(notice.row["task_id"])
    return {kind: len(ids) for kind, ids in tasks.items()}


def _urgency(notices: Sequence[Notice]) -> Urgency:
    """Return the class of a digest of these notices: low, unless one of them is louder."""
    is_low = all(notice.facts.urgency is Urgency.LOW for notice in notices)
    return Urgency.LOW if is_low else Urgency.NORMAL
