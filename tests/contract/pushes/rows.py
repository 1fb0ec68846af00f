"""Rows of pushes about questions: how they are answered, and what was decided."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import (
    AnswerVia,
    RunStatus,
)
from app.models import (
    Notification,
    NotificationPreferences,
    Question,
    Run,
    RunCommand,
    Task,
    User,
)
from app.services.questions import records
from app.services.runs import lifecycle as run_lifecycle
from app.services.runs.lifecycle import RunEnd
from tests.support.devices import notifications_of
from tests.support.stand_ins.fakes import RecordingEvents


async def answer(sessions: SessionFactory, question: Question, by: User) -> None:
    async with unit_of_work(sessions) as session:
        command = await session.scalar(select(RunCommand.id).limit(1))
        assert await records.close_answered(
            session,
            question.id,
            answer={"option_id": "allow"},
            user_id=by.id,
            via=AnswerVia.API,
            command_id=command,  # type: ignore[arg-type] # no agent waits for it here
        )


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
