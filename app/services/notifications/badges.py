"""Count what the badge of an app shows: a person's open questions, in any project."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, SQLColumnExpression, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import Prepared
from app.enums import QuestionKind
from app.models import Membership, Question, QuestionCount, Task, TaskFollow
from app.models.base import constant, given_rows, literal_int
from app.services.access.visibility import is_for_user

_MESSAGE: ColumnElement[str] = constant(QuestionKind.MESSAGE)


def is_counted(kind: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Return the SQL condition that a badge counts a question: all kinds but those that wait for a message."""
    condition: ColumnElement[bool] = kind != _MESSAGE
    return condition


async def count_open(session: AsyncSession, user_ids: Collection[int]) -> Mapping[int, int]:
    """Return the number of open questions in each user's inbox, without turns that wait for a message."""
    if not user_ids:
        return {}
    rows = await _COUNT.all(session, {"given_user_id": list(user_ids)})
    return {user_id: int(count) for user_id, count in rows}


def _count_statement() -> Select[int, Decimal]:
    person = given_rows({"user_id": BigInteger()})

    def is_member(table: Any) -> ColumnElement[bool]:
        return and_(Membership.user_id == person.c.user_id, Membership.project_id == table.project_id)

    # Triggers keep the sums, so this reads a few rows for any number of questions.
    own = (
        select(func.coalesce(func.sum(QuestionCount.questions), literal_int(0)))
        .join(Membership, is_member(QuestionCount))
        .where(QuestionCount.user_id == person.c.user_id, is_counted(QuestionCount.kind))
    )
    followed = (
        select(func.count())
        .select_from(TaskFollow)
        .join(Question, Question.task_id == TaskFollow.task_id)
        .join(Membership, is_member(Question))
        .join(Task, Task.id == Question.task_id)
        .where(
            TaskFollow.user_id == person.c.user_id,
            Question.task_creator_id.is_distinct_from(person.c.user_id),
            Question.is_open(),
            is_counted(Question.kind),
            ~Task.deleted,
            is_for_user(person.c.user_id),
        )
    )
    counts = [each.correlate(person).scalar_subquery() for each in (own, followed)]
    return select(person.c.user_id, (counts[0] + counts[1]).label("open"))


_COUNT = Prepared(_count_statement())
