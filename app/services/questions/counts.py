"""Counts of the open questions of a person's own tasks: sums over `question_counts`, not over questions (ADR 30)."""

from typing import Any

from sqlalchemy import BigInteger, cast, delete, func, insert, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import QuestionCount

FOLDED_AT_ONCE = 10_000


def summed(*conditions: Any) -> Any:  # Any: an expression
    """Return the expression for the number of questions: the sum over the rows of `QuestionCount` that meet the conditions."""
    total = func.sum(QuestionCount.questions)
    # PostgreSQL's sum has the type `numeric`, which would be read as a Decimal.
    return cast(func.coalesce(total.filter(*conditions) if conditions else total, 0), BigInteger)


async def fold_counts(session: AsyncSession) -> int:
    """Replace at most `FOLDED_AT_ONCE` rows by one row with their sum; return the number of new rows.

    A concurrent sum reads either all of the old rows or the new row. Folding only makes inboxes faster.
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
