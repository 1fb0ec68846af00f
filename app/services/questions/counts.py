"""Count the open questions of a person's own tasks by the sums in `question_counts` (ADR 30)."""

from typing import Any

from sqlalchemy import BigInteger, cast, func

from app.models import QuestionCount


def sum_questions(*conditions: Any) -> Any:  # Any: an expression
    """Return the SQL expression for the number of open questions.

    It is a sum over the rows of `QuestionCount` that meet all of the conditions.
    """
    total = func.sum(QuestionCount.questions)
    # PostgreSQL's sum has the type `numeric`, which would be read as a Decimal.
    return cast(func.coalesce(total.filter(*conditions) if conditions else total, 0), BigInteger)
