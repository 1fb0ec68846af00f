"""Follow tasks and snooze questions: the choices of a person about their inbox and its pushes."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import Scope
from app.errors import InvalidInput, NotFound, QuestionClosed
from app.models import Question, QuestionSnooze, TaskFollow
from app.schemas.questions import MAX_SNOOZE_SECONDS, QuestionOut, SnoozeIn
from app.services.access.principal import Principal
from app.services.access.scopes import has_scope
from app.services.access.visibility import require_task
from app.services.inbox.question_details import is_open, question_out, require_question, winner
from app.services.notifications import closed_questions
from app.services.questions.follows import follow


async def follow_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Make the caller follow a task, so that its questions appear in their inbox. Idempotent."""
    if not await follow(session, caller, task_id):
        raise NotFound


async def unfollow_task(session: AsyncSession, caller: Principal, task_id: UUID) -> None:
    """Make the caller stop following a task of another person, so that its questions leave their inbox. Idempotent."""
    await require_task(session, caller, task_id)
    await session.execute(
        delete(TaskFollow).where(TaskFollow.task_id == task_id, TaskFollow.user_id == caller.user_id)
    )


async def snooze_question(
    session: AsyncSession, caller: Principal, question_id: UUID, body: SnoozeIn, *, link: str
) -> QuestionOut:
    """Send the caller no pushes about a question until the time in `body`; return the question.

    The question stays in the caller's inbox. `link` is the setting `task_url`.
    """
    row = await require_question(session, caller, question_id)
    if not is_open(row):
        raise QuestionClosed(winner(row))
    until = _until(body)
    # Locked, so that a question is not snoozed after a concurrent transaction has closed it.
    still_open = select(Question.id).where(Question.id == question_id, Question.is_open())
    if await session.scalar(still_open.with_for_update(read=True)) is None:
        raise QuestionClosed(winner(await require_question(session, caller, question_id)))
    snooze = insert(QuestionSnooze).values(question_id=question_id, user_id=caller.user_id, until=until)
    await session.execute(
        snooze.on_conflict_do_update(
            index_elements=[QuestionSnooze.question_id, QuestionSnooze.user_id],
            set_={"until": snooze.excluded.until},
        )
    )
    await closed_questions.ring_after_snooze(session, question_id, caller.user_id, until)
    row = await require_question(session, caller, question_id)
    return question_out(row, link, may_write=has_scope(caller, Scope.TASK_WRITE))


def _until(body: SnoozeIn) -> datetime:
    now = utcnow()
    if body.until is None:
        return now + timedelta(seconds=body.seconds or 0)
    if not now < body.until <= now + timedelta(seconds=MAX_SNOOZE_SECONDS):
        raise InvalidInput("Enter a time within the next 24 hours.", attr="until")
    return body.until
