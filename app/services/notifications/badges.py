"""How many questions wait for a person: what the badge of an app shows (contract 15)."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import BigInteger, bindparam, column, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import QuestionKind, QuestionStatus
from app.models import Membership, Question, Task, TaskFollow
from app.models.tasks import EVERYONE
from app.statements import Prepared


async def count_open(session: AsyncSession, user_ids: Collection[int]) -> Mapping[int, int]:
    """Return for each user how many permissions, forms and links wait for an answer, over all their projects."""
    if not user_ids:
        return {}
    rows = await _COUNT.all(session, {"user_ids": list(user_ids)})
    return {row["user_id"]: row["count"] for row in rows}


def _count_statement() -> Any:  # Any: a Select of two columns
    person = (
        func.unnest(bindparam("user_ids", type_=ARRAY(BigInteger)))
        .table_valued(column("user_id", BigInteger), name="person")
        .render_derived()
    )
    kinds = ", ".join(f"'{kind}'" for kind in (QuestionKind.PERMISSION, QuestionKind.FORM, QuestionKind.URL))
    follows = select(TaskFollow.task_id).where(
        TaskFollow.task_id == Task.id, TaskFollow.user_id == person.c.user_id
    )
    own = (
        select(func.count().label("count"))
        .select_from(Membership)
        .join(Question, Question.project_id == Membership.project_id)
        .join(Task, Task.id == Question.task_id)
        .where(
            Membership.user_id == person.c.user_id,
            Question.status == literal_column(f"'{QuestionStatus.OPEN}'"),
            Question.kind.in_([literal_column(kinds)]),
            ~Task.deleted,
            Task.audience.in_([literal_column(str(EVERYONE)), person.c.user_id]),
            or_(Task.created_by_id == person.c.user_id, follows.exists()),
        )
        .correlate(person)
        .lateral("own")
    )
    return select(person.c.user_id, own.c.count).join(own, true())


_COUNT = Prepared(_count_statement())
