"""What people want to hear of: kinds of pushes, and tasks they have muted."""

from uuid import UUID

from sqlalchemy import delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.errors import NotFound
from app.models import NotificationPreferences, Task, TaskMute
from app.schemas.notifications import PreferencesIn, PreferencesOut
from app.services.access.principal import Principal
from app.services.access.visibility import require_task, visible_task

_COLUMNS = (
    NotificationPreferences.completed,
    NotificationPreferences.failed,
    NotificationPreferences.cancelled,
    NotificationPreferences.awaiting,
)


async def retrieve_preferences(session: AsyncSession, caller: Principal) -> PreferencesOut:
    """Return which kinds the caller wants; all of them until they say otherwise."""
    statement = select(*_COLUMNS).where(NotificationPreferences.user_id == caller.user_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return {"completed": True, "failed": True, "cancelled": True, "awaiting": True}
    return {
        "completed": row.completed,
        "failed": row.failed,
        "cancelled": row.cancelled,
        "awaiting": row.awaiting,
    }


async def update_preferences(session: AsyncSession, caller: Principal, body: PreferencesIn) -> PreferencesOut:
    """Change the given kinds and no others, also beside a concurrent change of the rest."""
    given = {column.key: getattr(body, column.key) for column in _COLUMNS if body.given(column.key)}
    if given:
        upsert = insert(NotificationPreferences).values(user_id=caller.user_id, **given)
        await session.execute(
            upsert.on_conflict_do_update(index_elements=[NotificationPreferences.user_id], set_=given)
        )
    return await retrieve_preferences(session, caller)


async def mute_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Keep the caller from pushes about a task; muting it twice is muting it once.

    Raises:
        NotFound: there is no such task for this caller.

    """
    task = select(Task.id).where(Task.id == task_id, visible_task(caller)).cte("task")
    row = select(
        literal(caller.user_id, TaskMute.user_id.type), task.c.id, literal(utcnow(), TaskMute.created_at.type)
    )
    muted = (
        insert(TaskMute)
        .from_select(["user_id", "task_id", "created_at"], row)
        .on_conflict_do_nothing()
        .returning(TaskMute.task_id)
        .cte("muted")
    )
    if not await session.scalar(select(select(task.c.id).exists()).add_cte(muted)):
        raise NotFound


async def unmute_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Let the caller have pushes about a task again, muted or not.

    Raises:
        NotFound: there is no such task for this caller.

    """
    await require_task(session, caller, task_id)
    await session.execute(
        delete(TaskMute).where(TaskMute.task_id == task_id, TaskMute.user_id == caller.user_id)
    )
