"""Show single questions of agents as the inbox does, and snooze them (contract 15)."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.db.statements import Prepared
from app.enums import (
    AnswerVia,
    QuestionAction,
    QuestionKind,
    QuestionRisk,
    QuestionStatus,
    RunStatus,
    Scope,
    Urgency,
)
from app.errors import InvalidInput, NotFound, QuestionClosed
from app.json_types import JsonDict
from app.models import Project, Question, QuestionSnooze, Run, Task, User
from app.models.base import literal_int
from app.schemas.questions import MAX_SNOOZE_SECONDS, QuestionOption, QuestionOut, SnoozeIn, Winner
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope
from app.services.access.visibility import VISIBLE_TASK, require_run, visibility
from app.services.notifications import reminders
from app.services.questions.question_lifecycle import ClosedQuestion
from app.services.views.task_links import slug, slug_prefix, task_link
from app.services.views.users import CREATOR_COLUMNS, Creator, user_basic

_USER = bindparam("visible_user_id", type_=User.id.type)


class QuestionRow(NamedTuple):
    """A question with what the inbox shows of its task, its run and its project, and who answered it."""

    id: UUID
    project_id: int
    task_id: UUID
    run_id: UUID
    request_id: str
    kind: QuestionKind
    status: QuestionStatus
    urgency: Urgency
    risk: QuestionRisk
    digest: bytes
    title: str
    detail: str
    options: list[QuestionOption]
    schema: JsonDict | None
    url: str | None
    opened_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None
    answer: JsonDict | None
    answered_via: AnswerVia | None
    answered_from: JsonDict | None
    command_id: UUID | None
    snoozed_until: datetime | None
    task_title: str
    task_number: int
    repository: str | None
    run_status: RunStatus
    project_name: str
    creator: Creator | None


QUESTION_COLUMNS = [
    getattr(Question, name) for name in QuestionRow._fields[: QuestionRow._fields.index("snoozed_until")]
]


def details_of(question: Any) -> Select[Any]:
    """Return a correlated SELECT of the columns of a `QuestionRow` that are stored in other tables than `questions`."""
    return (
        select(
            QuestionSnooze.until.label("snoozed_until"),
            Task.title.label("task_title"),
            Task.task_number,
            Task.repository,
            Run.status.label("run_status"),
            Project.name.label("project_name"),
            *CREATOR_COLUMNS,
        )
        .select_from(Task)
        .join(Run, Run.id == question.run_id)
        .join(Project, Project.id == question.project_id)
        .outerjoin(
            QuestionSnooze, and_(QuestionSnooze.question_id == question.id, QuestionSnooze.user_id == _USER)
        )
        .outerjoin(User, User.id == question.answered_by_id)
        .where(Task.id == question.task_id)
        .correlate_except(Task, Run, Project, QuestionSnooze, User)
        # Without a limit, the planner joins the questions with all tasks.
        .limit(literal_int(1))
    )


_ACTIONS = [QuestionAction.ANSWER, QuestionAction.SNOOZE, QuestionAction.MUTE]
_NO_WINNER: Winner = {"answer": None, "answered_by": None, "answered_via": None, "answered_at": None}


async def require_question(session: AsyncSession, caller: Principal, question_id: UUID) -> QuestionRow:
    """Return a question of the request's project, with all columns that `question_out` needs."""
    row = await _QUESTION.first(session, {"question_id": question_id, **visibility(caller)})
    if row is None:
        raise NotFound
    return row


async def list_questions(
    session: AsyncSession, caller: Principal, task_id: UUID, run_id: UUID, *, link: str
) -> list[QuestionOut]:
    """Return the newest 100 questions of a run, open and closed, the newest first. Raises NotFound."""
    await require_run(session, caller, task_id, run_id)
    rows = await _OF_RUN.all(session, {"run_id": run_id, **visibility(caller)})
    return [question_out(row, link, caller) for row in rows]


_DETAILS = details_of(Question).where(VISIBLE_TASK).lateral("details")
_QUESTIONS = select(*QUESTION_COLUMNS, _DETAILS).join(_DETAILS, true())
_QUESTION = Prepared(_QUESTIONS.where(Question.id == bindparam("question_id")), QuestionRow)
_OF_RUN = Prepared(
    _QUESTIONS.where(Question.run_id == bindparam("run_id"))
    .order_by(Question.opened_at.desc(), Question.id.desc())
    .limit(literal_int(100)),
    QuestionRow,
)


def question_out(row: QuestionRow, link: str, caller: Principal) -> QuestionOut:
    url, project_id, task_id = row.url, row.project_id, row.task_id
    return {
        "id": row.id,
        "kind": row.kind,
        "status": row.status,
        "urgency": row.urgency,
        "risk": row.risk,
        "digest": row.digest.hex(),
        "title": row.title,
        "detail": row.detail,
        "options": row.options,
        "schema": row.schema,
        "link": url,
        "link_host": host_of(url),
        "task": {
            "id": task_id,
            "title": row.task_title,
            "slug": slug(slug_prefix(row.project_name), row.task_number),
            "repository": row.repository,
        },
        "run": {"id": row.run_id, "status": row.run_status},
        "project_id": project_id,
        "opened_at": row.opened_at,
        "expires_at": row.expires_at,
        "snoozed_until": row.snoozed_until,
        **winner(row),
        "allowed_actions": _ACTIONS if row.status.is_open and has_scope(caller, Scope.TASK_WRITE) else [],
        "url": task_link(link, project_id, task_id),
    }


def winner(row: QuestionRow | ClosedQuestion) -> Winner:
    """Return the answer that closed a question, with its person, way and time; all None without an answer."""
    if row.status is not QuestionStatus.ANSWERED:
        return _NO_WINNER
    return {
        "answer": row.answer,
        "answered_by": user_basic(row.creator) if row.creator else None,
        "answered_via": row.answered_via,
        "answered_at": row.closed_at,
    }


def host_of(url: str | None) -> str | None:
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:
        return None


async def snooze_question(
    session: AsyncSession, caller: Principal, question_id: UUID, body: SnoozeIn, *, settings: Settings
) -> QuestionOut:
    """Send the caller no pushes about a question until the time in `body`; return the question."""
    row = await require_question(session, caller, question_id)
    if not row.status.is_open:
        raise QuestionClosed(extra=winner(row))
    until = _until(body)
    # Locked, so that a question is not snoozed after a concurrent transaction has closed it.
    still_open = select(Question.id).where(Question.id == question_id, Question.is_open())
    if await session.scalar(still_open.with_for_update(read=True)) is None:
        raise QuestionClosed(extra=winner(await require_question(session, caller, question_id)))
    snooze = insert(QuestionSnooze).values(question_id=question_id, user_id=caller.user_id, until=until)
    await session.execute(
        snooze.on_conflict_do_update(
            index_elements=[QuestionSnooze.question_id, QuestionSnooze.user_id],
            set_={"until": snooze.excluded.until},
        )
    )
    await reminders.remind_after_snooze(session, question_id, caller.user_id, until)
    row = await require_question(session, caller, question_id)
    return question_out(row, settings.task_url, caller)


def _until(body: SnoozeIn) -> datetime:
    now = utcnow()
    if body.until is None:
        return now + timedelta(seconds=body.seconds or 0)
    if not now < body.until <= now + timedelta(seconds=MAX_SNOOZE_SECONDS):
        raise InvalidInput("Enter a time within the next 24 hours.", attr="until")
    return body.until
