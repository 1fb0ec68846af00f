"""Read single questions of agents and show them as the inbox does (contract 15)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import QuestionAction, QuestionStatus, Scope
from app.errors import NotFound
from app.models import Project, Question, QuestionSnooze, Run, Task, User
from app.schemas.questions import QuestionOut, Winner
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope
from app.services.access.visibility import VISIBLE_TASK, visibility
from app.services.events.rendering import task_link
from app.services.views.slugs import slug, slug_prefix
from app.services.views.users import CREATOR_COLUMNS, user_basic
from app.statements import Fields, Prepared

_USER = bindparam("visible_user_id", type_=User.id.type)
SHOWN = (
    select(
        Question.id,
        Question.project_id,
        Question.task_id,
        Question.run_id,
        Question.request_id,
        Question.kind,
        Question.status,
        Question.urgency,
        Question.risk,
        Question.digest,
        Question.title,
        Question.detail,
        Question.options,
        Question.schema,
        Question.url,
        Question.opened_at,
        Question.expires_at,
        Question.closed_at,
        Question.answer,
        Question.answered_via,
        Question.answered_from,
        Question.command_id,
        QuestionSnooze.until.label("snoozed_until"),
        Task.title.label("task_title"),
        Task.task_number,
        Task.repository,
        Run.status.label("run_status"),
        Project.name.label("project_name"),
        *CREATOR_COLUMNS,
    )
    .select_from(Question)
    .join(Task, Task.id == Question.task_id)
    .join(Run, Run.id == Question.run_id)
    .join(Project, Project.id == Question.project_id)
    .outerjoin(User, User.id == Question.answered_by_id)
    .outerjoin(
        QuestionSnooze,
        and_(QuestionSnooze.question_id == Question.id, QuestionSnooze.user_id == _USER),
    )
)

_ACTIONS = [QuestionAction.ANSWER, QuestionAction.SNOOZE, QuestionAction.MUTE]
_NO_WINNER: Winner = {"answer": None, "answered_by": None, "answered_via": None, "answered_at": None}


async def find_question(session: AsyncSession, caller: Principal, question_id: UUID) -> Fields:
    """Return a question of the request's project, with the columns `SHOWN`, if the caller sees its task.

    Raises:
        NotFound: there is no such question for this caller.

    """
    row = await _QUESTION.first(session, {"question_id": question_id, **visibility(caller)})
    if row is None:
        raise NotFound
    return row


_QUESTION = Prepared(SHOWN.where(Question.id == bindparam("question_id"), VISIBLE_TASK))


def question_out(row: Fields, caller: Principal, link: str) -> QuestionOut:
    """Return a question as the API shows it, from a row with the columns `SHOWN`.

    `link` is the setting `task_url`.
    """
    may_act = row["status"] == QuestionStatus.OPEN and has_scope(caller, Scope.TASK_WRITE)
    return {
        "id": row["id"],
        "kind": row["kind"],
        "status": row["status"],
        "urgency": row["urgency"],
        "risk": row["risk"],
        "digest": row["digest"].hex(),
        "title": row["title"],
        "detail": row["detail"],
        "options": row["options"],
        "schema": row["schema"],
        "link": row["url"],
        "link_host": host_of(row["url"]),
        "task": {
            "id": row["task_id"],
            "title": row["task_title"],
            "slug": slug(slug_prefix(row["project_name"]), row["task_number"]),
            "repository": row["repository"],
        },
        "run": {"id": row["run_id"], "status": row["run_status"]},
        "project_id": row["project_id"],
        "opened_at": row["opened_at"],
        "expires_at": row["expires_at"],
        "snoozed_until": row["snoozed_until"],
        **winner(row),
        "allowed_actions": _ACTIONS if may_act else [],
        "url": task_link(link, row["project_id"], row["task_id"]),
    }


def winner(row: Mapping[str, Any]) -> Winner:
    """Return the fields of the answer that closed a question, with person, way and time; null without one."""
    if row["status"] != QuestionStatus.ANSWERED:
        return _NO_WINNER
    return {
        "answer": row["answer"],
        "answered_by": user_basic(row),
        "answered_via": row["answered_via"],
        "answered_at": row["closed_at"],
    }


def host_of(url: str | None) -> str | None:
    """Return the host name in a URL; None without a URL, or if it has no readable host."""
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:
        return None
