"""Follow tasks of other people, so that their questions appear in the inbox of the caller (contract 15)."""

from uuid import UUID

from sqlalchemy import delete, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.errors import NotFound
from app.models import Task, TaskFollow
from app.services.access.principal import Principal
from app.services.access.visibility import require_task, visible_task


async def follow_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Make the caller follow a task, if they did not create it. Idempotent."""
    if not await follow_if_visible(session, caller, task_id):
        raise NotFound


async def unfollow_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Make the caller stop following a task. Idempotent."""
    await require_task(session, caller, task_id)
    await session.execute(
        delete(TaskFollow).where(TaskFollow.task_id == task_id, TaskFollow.user_id == caller.user_id)
    )


async def follow_if_visible(session: AsyncSession, caller: Principal, task_id: UUID) -> bool:
    """Make the caller follow a task, if they did not create it; False if they cannot see it. Idempotent."""
    task = select(Task.id, Task.created_by_id).where(Task.id == task_id, visible_task(caller)).cte("task")
    row = select(
        literal(caller.user_id, TaskFollow.user_id.type),
        task.c.id,
        literal(utcnow(), TaskFollow.created_at.type),
    ).where(task.c.created_by_id.is_distinct_from(caller.user_id))
    followed = (
        upsert(TaskFollow)
        .from_select(["user_id", "task_id", "created_at"], row)
        .on_conflict_do_nothing()
        .returning(TaskFollow.task_id)
        .cte("followed")
    )
    return bool(await session.scalar(select(select(task.c.id).exists()).add_cte(followed)))
