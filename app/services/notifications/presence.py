"""Record which devices show which tasks. A report holds for 60 seconds (contract 7.1)."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Select,
    any_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.clock import utcnow
from app.db.statements import Prepared, count_changed
from app.db.sweeping import delete_batch
from app.enums import DeviceKind, NotificationDecision
from app.errors import InvalidInput, NotFound
from app.models import ConsoleSession, Event, Notification, Presence, PushToken, QuestionSnooze, Task
from app.models.base import UtcDateTime, constant, literal_int
from app.models.devices.push_tokens import HAS_ADDRESS
from app.outages import is_outage
from app.schemas.devices.presence import PresenceIn
from app.services.access.principal import Principal
from app.services.access.user_lock import lock_user
from app.services.access.visibility import VISIBLE_TASK, visibility, visible_task
from app.services.notifications.devices import session_device
from app.services.notifications.rules.decision_transitions import IS_HELD, decision_update, entry
from app.services.notifications.rules.push_decision import LAPSE, Watching
from app.services.retrying import due_rows

Result = TypeVar("Result")

PRESENCE_LIFETIME = timedelta(seconds=60)
# How many terminals of one user can show tasks at a time.
MAX_TERMINALS = 100

_NOT_THE_CALLERS = "device_id does not match a push token registered by the caller"
_SEEN = "seen"
# Events get their numbers in another order than their transactions: the greatest is among this many last events.
_LAST_EVENTS = 100
_USER = bindparam("visible_user_id", type_=Presence.user_id.type)
_NOW, _LAPSE_AT = (bindparam(name, type_=UtcDateTime()) for name in ("now", "lapse_at"))
# The columns of a presence on which deferred notices depend.
_SHOWN = (Presence.task_id, Presence.push_token_id, Presence.user_id, Presence.focused, Presence.seen_seq)
# A terminal has no address and no console session. The device of an ended console session looks the same.
_IS_TERMINAL = ~HAS_ADDRESS & ~select(ConsoleSession.id).where(ConsoleSession.id == PushToken.id).exists()

log = structlog.get_logger(__name__)


async def report(session: AsyncSession, caller: Principal, task_id: UUID, body: PresenceIn) -> None:
    """Record that the caller's device, which may be a terminal that is not known yet, shows the task now."""
    if body.kind is DeviceKind.TERMINAL:
        await keep_terminal(session, caller, body.device_id)
    await beat(session, caller, task_id, body.device_id, focused=body.focused, seen_seq=body.seen_seq)


async def keep_terminal(session: AsyncSession, caller: Principal, device_id: UUID) -> None:
    """Note that a terminal of the caller shows a task. A sweep deletes its row some time after its last beat."""
    own = PushToken.user_id == caller.user_id
    seen = update(PushToken).where(PushToken.id == device_id, own).values(last_seen_at=utcnow())
    if await count_changed(session, seen):
        return
    await lock_user(session, caller.user_id)
    await session.execute(delete(PushToken).where(own, _is_silent_viewer()))
    if (await session.scalar(select(func.count()).where(own, _IS_TERMINAL)) or 0) >= MAX_TERMINALS:
        text = f"{MAX_TERMINALS} terminals of yours show tasks, the most there can be. Close some."
        raise InvalidInput(text, code="max_length", attr="device_id")
    row = session_device(device_id, caller.user_id)
    values = {column.key: getattr(row, column.key) for column in PushToken.__table__.columns}
    # An id that is another user's stays theirs: `beat` then finds no device.
    await session.execute(insert(PushToken).values(values).on_conflict_do_nothing())


async def sweep_silent_viewers(session: AsyncSession) -> int:
    """Delete a batch of terminals, and of devices of ended console sessions, that show nothing; return their number."""
    return await delete_batch(session, PushToken, _is_silent_viewer())


def _is_silent_viewer() -> ColumnElement[bool]:
    now = utcnow()
    # A live stream renews the presence, but not the time of the last report.
    is_shown = exists().where(Presence.push_token_id == PushToken.id, Presence.expires_at > now)
    return _IS_TERMINAL & (PushToken.last_seen_at <= now - PRESENCE_LIFETIME) & ~is_shown


async def beat(
    session: AsyncSession,
    caller: Principal,
    task_id: UUID,
    device_id: UUID,
    *,
    focused: bool | None = None,
    seen_seq: int | None = None,
) -> datetime:
    """Record that the caller's device shows the task now; return when this presence expires.

    `focused` None keeps the last value of the device, at first True. Deferred notices of events up to `seen_seq` are
    dropped. Concurrent beats leave the latest expiry.
    """
    expires_at = utcnow() + PRESENCE_LIFETIME
    values = {"task": task_id, "device": device_id, "expires_at": expires_at, "focused": focused}
    values |= visibility(caller)
    statement = _BEAT
    if focused is False or seen_seq is not None:
        statement = _REPORT
        values |= {"seen_seq": seen_seq, **_let_go_values()}
    try:
        sees_task, has_device, _ = await statement.one(session, values)
    except IntegrityError as error:
        # The task or the device was deleted between our read and our write.
        raise NotFound(_NOT_THE_CALLERS) from error
    if not sees_task:
        raise NotFound
    if not has_device:
        raise NotFound(_NOT_THE_CALLERS)
    return expires_at


def _beat_statement(*, reports: bool = False) -> Select[bool, bool, str]:
    task = select(Task.id, Task.project_id).where(Task.id == bindparam("task"), VISIBLE_TASK).cte("task")
    device = (
        select(PushToken.id)
        .where(PushToken.id == bindparam("device"), PushToken.user_id == _USER)
        .cte("device")
    )
    focused = bindparam("focused", type_=Boolean)
    values: dict[str, Any] = {
        "task_id": task.c.id,
        "push_token_id": device.c.id,
        "project_id": task.c.project_id,
        "user_id": _USER,
        "expires_at": bindparam("expires_at", type_=Presence.expires_at.type),
        "focused": func.coalesce(focused, literal_column("true")),
    }
    if reports:
        seen_seq = bindparam("seen_seq", type_=BigInteger)
        # A number beyond the newest event must not cover future events.
        newest = func.least(seen_seq, _newest_seq(task.c.project_id))
        values["seen_seq"] = case((seen_seq.is_not(None), newest))
    row = select(*values.values()).join_from(task, device, literal(value=True))
    upsert = insert(Presence).from_select(list(values), row)
    changed = {
        "user_id": upsert.excluded.user_id,
        # Concurrent beats on replicas with different clocks must not shorten the expiry.
        "expires_at": func.greatest(Presence.expires_at, upsert.excluded.expires_at),
        "focused": func.coalesce(focused, Presence.focused),
    }
    if reports:
        changed["seen_seq"] = func.coalesce(upsert.excluded.seen_seq, Presence.seen_seq)
    key = [Presence.task_id, Presence.push_token_id]
    written = upsert.on_conflict_do_update(index_elements=key, set_=changed).returning(*_SHOWN).cte("written")
    found = select(
        select(task.c.id).exists().label("task"),
        select(device.c.id).exists().label("device"),
        # A beat has no value after a crash, so its commit need not wait for the disk.
        func.set_config("synchronous_commit", "off", True),  # noqa: FBT003 - SQL's third argument: this transaction
    )
    return found.add_cte(_let_go(written) if reports else written)


def _newest_seq(project_id: ColumnElement[int]) -> ColumnElement[int]:
    last = (
        select(Event.seq)
        .where(Event.project_id == project_id)
        .order_by(Event.transaction_id.desc(), Event.seq.desc())
        .limit(literal_int(_LAST_EVENTS))
        .correlate(project_id.table)
        .subquery()
    )
    return func.coalesce(select(func.max(last.c.seq)).scalar_subquery(), literal_int(0))


def _let_go_values() -> dict[str, object]:
    now = utcnow()
    seen = entry(NotificationDecision.NOT_NEEDED, _SEEN, now)
    return {"now": now, "lapse_at": now + LAPSE, "entries": [seen]}


def _let_go(source: CTE, *, is_leaving: bool = False) -> CTE:
    # Drops the notices that the person has seen: those up to `seen_seq`, or without it, all of the task if a focused
    # device leaves; never those of a snoozed question. The others that presence deferred are due after `LAPSE`, unless
    # another device shows the task.
    held = _held(source, is_leaving=is_leaving)
    decided = decision_update(
        constant(NotificationDecision.NOT_NEEDED),
        literal_column(f"'{_SEEN}'"),
        bindparam("entries", type_=JSONB),
        condition=held.c.is_seen,
    )
    times = {
        Notification.due_at: case((held.c.is_seen, null()), else_=func.least(Notification.due_at, _LAPSE_AT)),
        Notification.settled_at: case((held.c.is_seen, _NOW), else_=Notification.settled_at),
    }
    return (
        update(Notification)
        .where(Notification.id == held.c.id, held.c.is_seen | held.c.is_let_go)
        .values(decided | times)
        .returning(Notification.id)
        .cte("let_go")
    )


def _held(source: CTE, *, is_leaving: bool) -> CTE:
    is_up_to = func.coalesce(Notification.event_seq <= source.c.seen_seq, false())
    all_of_task = source.c.focused if is_leaving else false()
    is_snoozed = exists().where(
        QuestionSnooze.question_id == Notification.question_id,
        QuestionSnooze.user_id == Notification.user_id,
        QuestionSnooze.until > _NOW,
    )
    other = aliased(Presence)
    is_watched = exists().where(
        other.task_id == source.c.task_id,
        other.user_id == source.c.user_id,
        other.push_token_id != source.c.push_token_id,
        other.focused,
        other.expires_at > _NOW,
    )
    is_deferred = Notification.decision == constant(NotificationDecision.DEFERRED)
    is_of_presence = is_deferred & (Notification.reason == literal_column("'presence'"))
    has_left = true() if is_leaving else ~source.c.focused
    is_seen = case((source.c.seen_seq.is_not(None), is_up_to), else_=all_of_task)
    held = (
        select(
            Notification.id,
            (is_seen & ~is_snoozed).label("is_seen"),
            (has_left & ~is_watched & is_of_presence).label("is_let_go"),
        )
        .join(source, (source.c.task_id == Notification.task_id) & (source.c.user_id == Notification.user_id))
        .where(IS_HELD)
    )
    return due_rows.lock(held, Notification.id).cte("held")


# The most frequent write of the service: it reads and writes the minimum.
_BEAT = Prepared(_beat_statement(), alone=True)
_REPORT = Prepared(_beat_statement(reports=True), alone=True)


async def leave(
    session: AsyncSession, caller: Principal, task_id: UUID, device_id: UUID, *, up_to: datetime | None = None
) -> None:
    """End the presence of the caller's device on the task; with `up_to`, unless it was renewed since."""
    task = select(Task.id).where(Task.id == task_id, visible_task(caller)).cte("task")
    gone = (
        delete(Presence)
        .where(
            Presence.task_id == task.c.id,
            Presence.push_token_id == device_id,
            Presence.user_id == caller.user_id,
            *([] if up_to is None else [Presence.expires_at <= up_to]),
        )
        .returning(*_SHOWN)
        .cte("gone")
    )
    found = select(select(task.c.id).exists()).add_cte(gone, _let_go(gone, is_leaving=True))
    if not await session.scalar(found, _let_go_values()):
        raise NotFound


async def watching(
    session: AsyncSession, *, task_ids: Collection[UUID], user_ids: Collection[int], now: datetime
) -> dict[tuple[UUID, int], Watching]:
    """Return the focused devices that show these tasks to these users, by task and user id; of several the latest."""
    values = {"task_ids": list(task_ids), "user_ids": list(user_ids), "now": now}
    return {
        (task_id, user_id): Watching(device_id, beat_at=expires_at - PRESENCE_LIFETIME, expires_at=expires_at)
        for task_id, user_id, device_id, expires_at in await _WATCHING.all(session, values)
    }


_WATCHING = Prepared(
    select(Presence.task_id, Presence.user_id, Presence.push_token_id, Presence.expires_at)
    .where(
        Presence.task_id == any_(bindparam("task_ids", type_=ARRAY(Presence.task_id.type))),
        Presence.user_id == any_(bindparam("user_ids", type_=ARRAY(Presence.user_id.type))),
        Presence.expires_at > bindparam("now", type_=Presence.expires_at.type),
        Presence.focused,
    )
    .order_by(Presence.expires_at)
)


async def without_if_failing(
    session: AsyncSession, decide: Callable[..., Awaitable[Result]], **logged: object
) -> Result:
    """Return `decide(with_presence=True)`, after an error `decide(with_presence=False)`; an outage is raised."""
    try:
        async with session.begin_nested():
            return await decide(with_presence=True)
    except Exception as error:
        if is_outage(error):
            raise
        # Presence can only hold a push back: an error in reading it must not lose the push.
        log.exception("push.decided_without_presence", **logged)
    async with session.begin_nested():
        return await decide(with_presence=False)


async def sweep_expired(session: AsyncSession) -> int:
    """Delete a batch of expired presences; return their number. Readers ignore expired ones anyway."""
    # A device that renews its presence at this moment keeps its row.
    return await delete_batch(session, Presence, Presence.expires_at <= utcnow())
