"""List the inbox of a person: the questions of tasks that they created or follow (contract 15)."""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.statements import Prepared
from app.enums import InboxStatus, QuestionKind, QuestionStatus
from app.models import Question, QuestionCount, Task, TaskFollow
from app.models.base import constant
from app.schemas.base import Page
from app.schemas.questions import InboxQuery, QuestionOut
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_ANYWHERE, VISIBLE_PROJECTS, visibility_anywhere
from app.services.inbox.inbox_questions import QUESTION_COLUMNS, QuestionRow, details_of, question_out
from app.services.notifications.badges import is_counted

_USER = bindparam("visible_user_id", type_=BigInteger)
_KIND = bindparam("kind", type_=Text)
_PROJECT = bindparam("project_id", type_=BigInteger)
_LIMIT, _OFFSET = (bindparam(name, type_=BigInteger) for name in ("limit", "offset"))
_OPEN = Question.is_open()
_WANTED = and_(
    or_(_KIND.is_(None), Question.kind == _KIND), or_(_PROJECT.is_(None), Question.project_id == _PROJECT)
)
_MISSED = and_(
    Question.status == constant(QuestionStatus.EXPIRED),
    Question.kind != constant(QuestionKind.MESSAGE),
    Question.closed_at > bindparam("since", type_=Question.closed_at.type),
)
_MISSED_FOR = timedelta(days=1)
_ORDER = (Question.rank, Question.opened_at, Question.id)


def _sum_questions(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    total = func.sum(QuestionCount.questions)
    # PostgreSQL's sum has the type `numeric`, which would be read as a Decimal.
    return cast(func.coalesce(total.filter(*conditions) if conditions else total, 0), BigInteger)


def own(*columns: Any) -> Select[Any]:
    """Return a SELECT of `columns` for the questions about tasks that the caller created, in any project."""
    return (
        select(*columns)
        .select_from(Question)
        .where(Question.task_creator_id == _USER, Question.project_id == any_(VISIBLE_PROJECTS))
    )


def followed(*columns: Any) -> Select[Any]:
    """Return a SELECT of `columns` for the questions about other people's tasks that the caller follows."""
    return (
        select(*columns)
        .select_from(Question)
        .join(TaskFollow, TaskFollow.task_id == Question.task_id)
        .join(Task, Task.id == Question.task_id)
        .where(
            TaskFollow.user_id == _USER, Question.task_creator_id.is_distinct_from(_USER), VISIBLE_ANYWHERE
        )
    )


_SOURCES = (("own", own), ("followed", followed))


class _InboxRow(NamedTuple):
    """The counts of an inbox, and one question of its page; an empty page has one row without a question."""

    total: int
    open_count: int
    question: QuestionRow | None


async def list_inbox(
    session: AsyncSession, caller: Principal, query: InboxQuery, page: Page, *, link: str
) -> tuple[int, int, list[QuestionOut]]:
    """Return how many questions of the caller's inbox match, how many an app's badge counts, and one page."""
    values = {
        "kind": query.kind,
        "project_id": query.project_id,
        "limit": page.limit,
        "offset": page.offset,
        "until": page.limit + page.offset,
        **visibility_anywhere(caller),
    }
    if query.status is InboxStatus.MISSED:
        values["since"] = utcnow() - _MISSED_FOR
    rows = await _PAGES[query.status].all(session, values)
    shown = [question_out(row.question, link, caller) for row in rows if row.question]
    return rows[0].total, rows[0].open_count, shown


def _count_columns(shown: ColumnElement[bool]) -> tuple[Any, Any]:
    return (
        func.count().filter(shown, _WANTED).label("total"),
        func.count().filter(_OPEN, is_counted(Question.kind)).label("open_count"),
    )


def _open_counts_of_own() -> Select[int, int]:
    kind, project_id = QuestionCount.kind, QuestionCount.project_id
    matches = (or_(_KIND.is_(None), kind == _KIND), or_(_PROJECT.is_(None), project_id == _PROJECT))
    return select(
        _sum_questions(*matches).label("total"), _sum_questions(is_counted(kind)).label("open_count")
    ).where(QuestionCount.user_id == _USER, project_id == any_(VISIBLE_PROJECTS))


def _counts(of_own: Select[int, int], of_others: Select[int, int]) -> Subquery:
    ours, others = of_own.subquery("ours"), of_others.subquery("others")
    return (
        select(*((ours.c[name] + others.c[name]).label(name) for name in ("total", "open_count")))
        .join_from(ours, others, true())
        .subquery("counts")
    )


def _page_statement(shown: ColumnElement[bool], *, is_open: bool = False) -> Select[Any]:
    counted, counts_of = shown if is_open else or_(_OPEN, shown), _count_columns(shown)
    until = bindparam("until", type_=BigInteger)
    branches = [
        select(
            source(*QUESTION_COLUMNS, Question.answered_by_id, Question.rank)
            .where(shown, _WANTED)
            .order_by(*_ORDER)
            .limit(until)
            .subquery(f"of_{name}")
        )
        for name, source in _SOURCES
    ]
    merged = union_all(*branches).subquery("merged")
    order = (merged.c.rank, merged.c.opened_at, merged.c.id)
    page = select(merged).order_by(*order).limit(_LIMIT).offset(_OFFSET).subquery("page")
    # One by one: joined, the planner takes a page of unknown length for a long one, and reads all tasks.
    details = details_of(page.c).lateral("details")
    columns = [page.c[column.key] for column in QUESTION_COLUMNS]
    rows = select(*columns, details, page.c.rank).join(details, true()).subquery("rows")
    of_own = _open_counts_of_own() if is_open else own(*counts_of).where(counted)
    counts = _counts(of_own, followed(*counts_of).where(counted))
    return (
        select(counts, *(rows.c[column.key] for column in rows.c if column.key != "rank"))
        .select_from(counts)
        .outerjoin(rows, true())
        .order_by(rows.c.rank, rows.c.opened_at, rows.c.id)
    )


_PAGES = {
    InboxStatus.OPEN: Prepared(_page_statement(_OPEN, is_open=True), _InboxRow),
    InboxStatus.MISSED: Prepared(_page_statement(_MISSED), _InboxRow),
    InboxStatus.ALL: Prepared(_page_statement(true()), _InboxRow),
}
