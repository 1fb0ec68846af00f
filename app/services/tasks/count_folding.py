"""Merge rows of the count tables into fewer rows with the same sum, so that sums stay cheap (ADR 30)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Table, cast, delete, func, insert, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import QuestionCount, TaskCount

FOLDED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Counts:
    """The description of a database table of counts, for `fold_counts`. Triggers add a row to it for each change."""

    table: Table
    # Sums are read, and rows are merged, for one owner at a time.
    owner: Sequence[str]
    # Each kind keeps its own row.
    kinds: Sequence[str]
    sums: Sequence[str]


TASK_COUNTS = Counts(
    TaskCount.metadata.tables[TaskCount.__tablename__],
    owner=("project_id", "audience"),
    kinds=("archived", "internal"),
    sums=("tasks", "changes"),
)
QUESTION_COUNTS = Counts(
    QuestionCount.metadata.tables[QuestionCount.__tablename__],
    owner=("user_id", "project_id"),
    kinds=("kind",),
    sums=("questions",),
)


async def fold_counts(session: AsyncSession, counts: Counts) -> int:
    """Merge up to `FOLDED_AT_ONCE` unmerged rows of a table of counts by owner and kind; return their number."""
    rows = counts.table.c
    fresh = (
        select(rows.id, *(rows[name] for name in counts.owner))
        .where(~rows.folded)
        .order_by(rows.id)
        .limit(FOLDED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("fresh")
    )
    group = (*counts.owner, *counts.kinds)
    gone = (
        delete(counts.table)
        .where(
            tuple_(*(rows[name] for name in counts.owner)).in_(
                select(*(fresh.c[name] for name in counts.owner))
            ),
            or_(rows.folded, rows.id.in_(select(fresh.c.id))),
        )
        .returning(*(rows[name] for name in (*group, *counts.sums)), rows.folded)
        .cte("gone")
    )
    by: list[Any] = [gone.c[name] for name in group]
    # PostgreSQL's sum of a bigint is `numeric`.
    sums = [cast(func.sum(gone.c[name]), BigInteger) for name in counts.sums]
    totals = select(*by, *sums, literal(value=True)).group_by(*by)
    columns = [*group, *counts.sums, "folded"]
    written = insert(counts.table).from_select(columns, totals).returning(rows.id).cte("written")
    folded = select(func.count()).select_from(gone).where(~gone.c.folded).add_cte(written)
    return await session.scalar(folded) or 0
