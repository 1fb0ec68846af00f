"""Lock a user's row: what is counted against a limit is counted under this lock."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


async def lock_user(session: AsyncSession, user_id: int) -> None:
    """Let no other transaction count what a user has until this one ends, so that limits of it hold."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
