"""Send each device one digest message at the end of quiet hours, for the notices that they held (contract 16)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import any_, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import NotificationDecision, NotificationKind, Urgency
from app.ids import new_id
from app.models import Notification, User
from app.models.base import constant, literal_int
from app.services.notifications.claims import hold_or_drop, notices_of, release
from app.services.notifications.rules.deciding import PUSH_LEASE, decide
from app.services.notifications.rules.decision_transitions import Change, store
from app.services.notifications.rules.facts import Notice
from app.services.notifications.rules.settling import IS_HELD
from app.services.notifications.texts import digest_body
from app.services.retrying.attempts import by_halves
from app.statements import Fields, Prepared

# The most people of one transaction.
_BATCH = 50
_REASON = "quiet_hours"


async def release_held(session: AsyncSession) -> int:
    """Decide again about notices that quiet hours have held, once the quiet hours of their person are over.

    If several notices to a device are still needed, one digest message replaces them. A single one is sent unchanged.
    Notices that cannot be decided are logged, and decided again when a lease has passed.

    Return the number of people with such notices, at most 50; 0 means that there were none. Concurrent calls handle
    different people, and notices that another transaction has locked are left for a later call.
    """
    now = utcnow()
    # The call that locks a person makes their one message.
    people = await _LOCK_PEOPLE.all(session, {"now": now})
    if not people:
        return 0
    values = {"user_ids": [row["id"] for row in people], "now": now, "until": now + PUSH_LEASE}
    held: dict[int, list[Fields]] = defaultdict(list)
    for row in await _CLAIM.all(session, values):
        held[row["user_id"]].append(row)
    notices = await notices_of(session, [row["id"] for own in held.values() for row in own], now)

    async def step(user_ids: Sequence[int]) -> None:
        rows = [row for user_id in user_ids for row in held[user_id] if row["id"] in notices]
        async with session.begin_nested():
            await _decide(session, rows, notices, now)

    await by_halves(list(held), step, event="push.digest_not_made", name=lambda user_id: {"user_id": user_id})
    return len(held)


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
    .cte("held")
)
_CLAIM = Prepared(
    update(Notification)
    .where(Notification.id == any_(func.array(select(_HELD.c.id).scalar_subquery())))
    .values(due_at=bindparam("until"))
    .returning(Notification.id, Notification.user_id, Notification.device_id, Notification.platform)
)


async def _decide(
    session: AsyncSession, held: Sequence[Fields], notices: Mapping[UUID, Notice], now: datetime
) -> None:
    changes: list[Change] = []
    needed: dict[tuple[int, UUID, str], list[Notice]] = defaultdict(list)
    for row in held:
        notice = notices[row["id"]]
        verdict = decide(notice.facts, now)
        if verdict.decision is NotificationDecision.PENDING:
            needed[row["user_id"], row["device_id"], row["platform"]].append(notice)
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
