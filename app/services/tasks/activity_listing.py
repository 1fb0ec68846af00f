"""List the newest activity of the tasks of a person, and mark it as seen (contract 6.12).

A task's row holds its newest lasting activity (`services/events/activity_notes.py`). An open question takes its place
while it is newer.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.selectable import LateralFromClause

from app.db.statements import Prepared, Statement
from app.enums import TERMINAL_STATUSES, ActivityKind
from app.models import ActivityMark, Question, Run, RunCommand, Task, TaskFollow, User
from app.models.base import constant, given_rows, literal_int
from app.schemas.task_activity import ActivityOut, ActivityPage, ActivityQuery, MarkedOut, MarkReadIn
from app.services.access.principal import Principal
from app.services.access.visibility import VISIBLE_TASK, visibility
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic

_USER = bindparam("visible_user_id", type_=BigInteger)
_SNIPPET_CHARACTERS = 200
# Selects the texts of a message, whose content is one text, or a list of blocks with or without a text.
_TEXTS: ColumnElement[object] = literal_column(
    """'$.content[*] ? (@.type() == "string" || exists(@.text))'"""
)


async def list_activity(session: AsyncSession, caller: Principal, query: ActivityQuery) -> ActivityPage:
    """Return a page of the newest activity of the tasks that the caller created or follows, newest first."""
    # One more row than asked for: it says whether there is a next page.
    values = {"before": query.before, "before_id": query.before_id, "limit": query.limit + 1}
    rows = await _PAGE.all(session, {**values, **visibility(caller)})
    found = [row.activity for row in rows if row.activity is not None]
    shown = found[: query.limit]
    last = shown[-1] if len(found) > len(shown) else None
    return {
        "results": [_activity_out(activity) for activity in shown],
        "unread_count": rows[0].unread_count,
        "next_before": last and last.at,
        "next_before_id": last and str(last.task_id),
    }


async def mark_read(session: AsyncSession, caller: Principal, body: MarkReadIn) -> MarkedOut:
    """Mark the activity of tasks as seen by the caller, up to a time each; newer activity stays unread."""
    given = {
        "given_task_id": [seen.task_id for seen in body.activities],
        "given_before": [seen.seen_before for seen in body.activities],
        **visibility(caller),
    }
    marked = await _MARK.all(session, given) if body.activities else ()
    values = {"before": None, "before_id": None, "limit": 0}
    (now,) = await _PAGE.all(session, {**values, **visibility(caller)})
    return {"marked_read": len(marked), "unread_count": now.unread_count}


class _Activity(NamedTuple):
    task_id: UUID
    title: str
    at: datetime
    kind: ActivityKind
    subject_id: UUID | None
    is_unread: bool
    snippet: str | None
    creator: Creator | None


class _ActivityRow(NamedTuple):
    """The number of all unread rows, and one row of the page; an empty page has one row without an activity."""

    unread_count: int
    activity: _Activity | None


def _activity_out(activity: _Activity) -> ActivityOut:
    return {
        "id": str(activity.task_id),
        "task_id": activity.task_id,
        "task_title": activity.title,
        "channel_id": None,
        "channel_name": None,
        "activity_at": activity.at,
        "activity_kind": activity.kind,
        "snippet": activity.snippet or "",
        "latest_author": activity.creator and user_basic(activity.creator),
        "latest_message_id": activity.subject_id if activity.kind is ActivityKind.MESSAGE else None,
        "latest_comment_id": None,
        "latest_comment_scope": None,
        "latest_comment_item_id": None,
        "target_scope": None,
        "target_id": None,
        "is_unread": activity.is_unread,
    }


def _newest_activity(*conditions: ColumnElement[bool]) -> Subquery:
    at = func.coalesce(Task.activity_at, Task.created_at).label("at")
    follows = select(TaskFollow.task_id).where(TaskFollow.user_id == _USER)
    opened = (
        select(
            Task.id,
            Question.opened_at.label("at"),
            # The types are the same as below: otherwise the planner sorts all rows.
            cast(constant(ActivityKind.AWAITING_INPUT), String).label("kind"),
            cast(null(), BigInteger).label("by_id"),
            Question.id.label("subject_id"),
        )
        .ext(distinct_on(Task.id))
        .join(Question, Question.task_id == Task.id)
        .join(Run, Run.id == Question.run_id)
        .where(
            Question.is_open(),
            or_(Question.task_creator_id == _USER, Question.task_id.in_(follows)),
            Run.status.not_in([constant(status) for status in sorted(TERMINAL_STATUSES)]),
            Question.opened_at > at,
            VISIBLE_TASK,
            *conditions,
        )
        .order_by(Task.id, Question.opened_at.desc(), Question.id.desc())
        .cte("opened")
    )
    lasting = select(
        Task.id,
        at,
        func.coalesce(Task.activity_kind, constant(ActivityKind.CREATED)),
        case((Task.activity_at.is_(None), Task.created_by_id), else_=Task.activity_by_id),
        Task.activity_subject_id,
    ).where(VISIBLE_TASK, Task.id.not_in(select(opened.c.id)), *conditions)
    return union_all(
        select(opened),
        lasting.where(Task.created_by_id == _USER),
        lasting.where(Task.created_by_id.is_distinct_from(_USER), Task.id.in_(follows)),
    ).subquery("activity")


def _is_unread(activity: Any) -> ColumnElement[bool]:
    has_seen = select(ActivityMark.task_id).where(
        ActivityMark.user_id == _USER,
        ActivityMark.task_id == activity.id,
        ActivityMark.seen_at >= activity.at,
    )
    return and_(activity.by_id.is_distinct_from(_USER), ~has_seen.exists())


def _page_statement() -> Statement:
    activity = _newest_activity().c
    before = func.coalesce(
        bindparam("before", type_=Task.created_at.type), literal_column("'infinity'::timestamptz")
    )
    place = tuple_(before, bindparam("before_id", type_=Task.id.type))
    page = (
        select(*activity)
        .where(tuple_(activity.at, activity.id) < place)
        .order_by(activity.at.desc(), activity.id.desc())
        .limit(bindparam("limit", type_=BigInteger))
        .subquery("page")
    )
    details = _details_of(page.c)
    unread = select(func.count().label("unread_count")).where(_is_unread(activity)).subquery("unread")
    return (
        select(
            unread.c.unread_count,
            page.c.id.label("task_id"),
            details.c.title,
            page.c.at,
            page.c.kind,
            page.c.subject_id,
            _is_unread(page.c).label("is_unread"),
            details.c.snippet,
            *(details.c[author.name] for author in CREATOR_COLUMNS),
        )
        .select_from(unread.outerjoin(page.join(details, true()), true()))
        .order_by(page.c.at.desc(), page.c.id.desc())
    )


def _details_of(activity: Any) -> LateralFromClause:
    # Lateral: for a page of unknown length, the planner would otherwise read whole tables.
    block = func.jsonb_path_query(RunCommand.params, _TEXTS).column_valued("block")
    text = func.coalesce(block.op("->>")(literal_column("'text'")), block.op("#>>")(literal_column("'{}'")))
    message = select(func.string_agg(text, literal_column("E'\\n'")))
    # At most one of the three tables has a row with this id.
    told = func.coalesce(Question.title, Run.error_message, message.correlate(RunCommand).scalar_subquery())
    is_creation = activity.kind == constant(ActivityKind.CREATED)
    snippet = func.left(case((is_creation, Task.description), else_=told), literal_int(_SNIPPET_CHARACTERS))
    return (
        select(Task.title, snippet.label("snippet"), *CREATOR_COLUMNS)
        .select_from(Task)
        .outerjoin(Question, Question.id == activity.subject_id)
        .outerjoin(Run, Run.id == activity.subject_id)
        .outerjoin(RunCommand, RunCommand.id == activity.subject_id)
        .outerjoin(User, User.id == activity.by_id)
        .where(Task.id == activity.id)
        .limit(literal_int(1))
        .lateral("details")
    )


def _mark_statement() -> ReturningInsert[UUID]:
    given = given_rows({"task_id": Task.id.type, "before": ActivityMark.seen_at.type})
    seen = (
        select(given.c.task_id, func.max(given.c.before).label("before")).group_by(given.c.task_id).subquery()
    )
    activity = _newest_activity(Task.id.in_(select(given.c.task_id))).c
    unread = (
        select(_USER, activity.id, activity.at)
        .join(seen, and_(seen.c.task_id == activity.id, activity.at <= seen.c.before))
        .where(_is_unread(activity))
        # Written in one order, so that concurrent requests wait for each other instead of deadlocking.
        .order_by(activity.id)
    )
    marked = upsert(ActivityMark).from_select(["user_id", "task_id", "seen_at"], unread)
    return marked.on_conflict_do_update(
        index_elements=[ActivityMark.user_id, ActivityMark.task_id],
        set_={"seen_at": marked.excluded.seen_at},
        where=ActivityMark.seen_at < marked.excluded.seen_at,
    ).returning(ActivityMark.task_id)


_PAGE = Prepared(_page_statement(), _ActivityRow)
_MARK = Prepared(_mark_statement())
