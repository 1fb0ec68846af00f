"""Rows of pushes about questions: how they are answered, and what was decided."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import AnswerVia, CommandMethod, RunStatus
from app.models import Notification, NotificationPreferences, Project, Question, Run, Task, User
from app.services.questions import question_lifecycle
from app.services.questions.answer_validation import Answer, Origin
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import RunEnd
from tests.support.devices import notifications_of
from tests.support.principals import member_of
from tests.support.stand_ins.fakes import RecordingEvents


async def answer(sessions: SessionFactory, question: Question, by: User) -> None:
    async with unit_of_work(sessions) as session:
        caller = member_of(await session.get_one(Project, question.project_id), by)
        given = Answer(CommandMethod.PERMISSION_RESPONSE, {"option_id": "allow"})
        origin = Origin(caller, AnswerVia.API)
        assert await question_lifecycle.close_question(session, question.id, given, origin)


async def end_run(sessions: SessionFactory, run: Run) -> None:
    async with unit_of_work(sessions) as session:
        end = RunEnd(status=RunStatus.FAILED)
        assert await run_lifecycle.finish(session, run.id, end, owner="worker", events=RecordingEvents())


async def only_row(sessions: SessionFactory, task: Task) -> Notification:
    [row] = await notifications_of(sessions, task)
    return row


def history(row: Notification) -> list[tuple[str, str | None]]:
    return [(entry["decision"], entry["reason"]) for entry in row.history]


async def prefer(session: AsyncSession, user: User, **values: Any) -> None:
    session.add(NotificationPreferences(user_id=user.id, **values))
    await session.flush()
