"""Faults of the database, for as long as a block runs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["altered"]


@asynccontextmanager
async def altered(engine: AsyncEngine, change: str, *, undo: str) -> AsyncGenerator[None, None]:
    """Change the schema in the block; both statements are committed."""
    async with engine.begin() as connection:
        await connection.execute(text(change))
    try:
        yield
    finally:
        async with engine.begin() as connection:
            await connection.execute(text(undo))
