"""How many open questions a person's own tasks have, without reading them: sums over `question_counts` (ADR 30)."""

from typing import Any

from sqlalchemy import BigInteger, cast, delete, func, insert, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import QuestionCount

FOLDED_AT_ONCE = 10_000


def summed(*conditions: Any) -> Any:  # Any: an expression
    """Return the aggregate of the questions in the rows of `QuestionCount` that meet the conditions."""
    total = func.sum(QuestionCount.questions)
    # PostgreSQL adds up to `numeric`, which would arrive as a Decimal.
    return cast(func.coalesce(total.filter(*conditions) if conditions else total, 0), BigInteger)


async def fold_counts(session: AsyncSession) -> int:
    """Replace many rows, `FOLDED_AT_ONCE` at most, by one with their sum; return how many were new.

    A concurrent sum sees either all of the old rows or the new one. Inboxes never depend on this but for speed.
    """
    fresh = (
        select(QuestionCount.id, QuestionCount.user_id, QuestionCount.project_id)
        .where(~QuestionCount.folded)
        .order_by(QuestionCount.id)
        .limit(FOLDED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("fresh")
    )
    group = (QuestionCount.user_id, QuestionCount.project_id, QuestionCount.kind)
    gone = (
        delete(QuestionCount)
        .where(
            tuple_(*group[:2]).in_(select(fresh.c.user_id, fresh.c.project_id)),
            or_(QuestionCount.folded, QuestionCount.id.in_(select(fresh.c.id))),
        )
        .returning(*group, QuestionCount.questions, QuestionCount.folded)
        .cte("gone")
    )
    by = [gone.c[column.key] for column in group]
    totals = select(*by, cast(func.sum(gone.c.questions), BigInteger), literal(value=True)).group_by(*by)
    columns = ["user_id", "project_id", "kind", "questions", "folded"]
    written = insert(QuestionCount).from_select(columns, totals).returning(QuestionCount.id).cte("written")
    folded = select(func.count()).select_from(gone).where(~gone.c.folded).add_cte(written)
    return (await session.execute(folded)).scalar_one()
