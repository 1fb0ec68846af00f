"""Read a page of a list that is shown newest first, and count the list."""

from typing import Any, TypeVar

from sqlalchemy import Select, func
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import rows_of
from app.schemas.base import Page

_Row = TypeVar("_Row")


async def newest_page(
    session: AsyncSession, rows: Select[Any], table: Any, page: Page, row: type[_Row]
) -> tuple[int, list[_Row]]:
    """Return how many rows of `table` a SELECT finds, and a page of them."""
    count = await session.scalar(rows.with_only_columns(func.count(), maintain_column_froms=True))
    ordered = rows.order_by(table.created_at.desc(), table.id.desc())
    return count or 0, await rows_of(session, ordered.limit(page.limit).offset(page.offset), row)
