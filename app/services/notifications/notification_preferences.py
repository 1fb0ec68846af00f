"""Read and change what people prefer to be notified of: kinds of pushes, quiet hours, muted tasks."""

from collections.abc import Sequence
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import row_of
from app.enums import NotificationDecision, PushText
from app.models import Notification, NotificationPreferences, TaskMute
from app.schemas.notifications import PreferencesIn, PreferencesOut, QuietHoursOut
from app.services.access.principal import Principal
from app.services.access.visibility import require_task
from app.services.notifications.rules.decision_transitions import IS_HELD
from app.services.retrying import due_rows


class _Preferences(NamedTuple):
    completed: bool = True
    failed: bool = True
    cancelled: bool = True
    awaiting: bool = True
    notify_user: bool = True
    quiet_hours: QuietHoursOut | None = None
    allow_during_quiet: Sequence[str] = ()
    push_text: PushText | None = None
    reminder_after_seconds: int | None = None


_COLUMNS = [getattr(NotificationPreferences, name) for name in _Preferences._fields]


async def retrieve_preferences(session: AsyncSession, caller: Principal) -> PreferencesOut:
    statement = select(*_COLUMNS).where(NotificationPreferences.user_id == caller.user_id)
    row = await row_of(session, statement, _Preferences) or _Preferences()
    return cast("PreferencesOut", {**row._asdict(), "push_text": row.push_text or PushText.TITLE})


async def update_preferences(session: AsyncSession, caller: Principal, body: PreferencesIn) -> PreferencesOut:
    """Change the given fields; if quiet hours change, the notices that they have held are decided again."""
    values = {column.key: getattr(body, column.key) for column in _COLUMNS if body.given(column.key)}
    if values:
        upsert = insert(NotificationPreferences).values(user_id=caller.user_id, **values)
        await session.execute(
            upsert.on_conflict_do_update(index_elements=[NotificationPreferences.user_id], set_=values)
        )
    if values.keys() & {"quiet_hours", "allow_during_quiet"}:
        await _look_again(session, caller)
    return await retrieve_preferences(session, caller)


async def _look_again(session: AsyncSession, caller: Principal) -> None:
    held = select(Notification.id).where(
        Notification.user_id == caller.user_id,
        IS_HELD,
        Notification.decision == NotificationDecision.HELD_QUIET_HOURS,
    )
    await session.execute(
        update(Notification)
        .where(Notification.id.in_(due_rows.lock(held, Notification.id)))
        .values(due_at=utcnow())
        .execution_options(synchronize_session=False)
    )


async def mute_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    await require_task(session, caller, task_id)
    muted = insert(TaskMute).values(user_id=caller.user_id, task_id=task_id, created_at=utcnow())
    await session.execute(muted.on_conflict_do_nothing())


async def is_muted(session: AsyncSession, caller: Principal, task_id: UUID) -> bool:
    await require_task(session, caller, task_id)
    muted = select(TaskMute.task_id).where(TaskMute.user_id == caller.user_id, TaskMute.task_id == task_id)
    return await session.scalar(muted) is not None


async def unmute_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    await require_task(session, caller, task_id)
    await session.execute(
        delete(TaskMute).where(TaskMute.task_id == task_id, TaskMute.user_id == caller.user_id)
    )
