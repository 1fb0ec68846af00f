"""Lock a user's row: rows are counted against a user's limits under this lock."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


async def lock_user(session: AsyncSession, user_id: int) -> None:
    """Keep other transactions from counting a user's rows until this one ends, so that limits hold."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
