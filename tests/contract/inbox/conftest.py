"""A question of a live run of the owner's task, and the token of a notification about it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.enums import NotificationKind
from app.models import Notification, Project, PushToken, Question, Run, Task
from app.services.notifications.action_tokens import ActionClaims, mint
from tests.support.devices import make_pending
from tests.support.questions import make_live_run, make_question

INBOX = "/api/users/@me/inbox"
MintToken = Callable[..., str]


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_live_run(session, task=task)


@pytest.fixture
async def question(session: AsyncSession, task: Task, run: Run) -> Question:
    return await make_question(session, task=task, run=run)


@pytest.fixture
def questions_url(project: Project) -> str:
    return f"/api/projects/{project.id}/questions"


@pytest.fixture
def answer_url(questions_url: str, question: Question) -> str:
    return f"{questions_url}/{question.id}/answer/"


@pytest.fixture
async def notification(
    session: AsyncSession, task: Task, question: Question, device: PushToken
) -> Notification:
    """The notification about the question that the owner's device was sent."""
    return await make_pending(
        session, task=task, device=device, run_id=question.run_id, kind=NotificationKind.AWAITING
    )


@pytest.fixture
def new_token(settings: Settings, notification: Notification, question: Question) -> MintToken:
    """Mint a token of the notification."""

    def new_token(option_id: str | None = None, **changes: Any) -> str:
        values: dict[str, Any] = {
            "notification_id": notification.id,
            "question_id": question.id,
            "digest": question.digest,
            "option": next((n for n, each in enumerate(question.options) if each["id"] == option_id), None),
        }
        return mint(settings.secret_keys, ActionClaims(**(values | changes)))

    return new_token
