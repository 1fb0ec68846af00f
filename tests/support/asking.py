"""Questions and their notices for tests of pushes."""

import hashlib
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import QuestionKind, QuestionRisk, QuestionStatus, Urgency
from app.ids import new_id
from app.models import Question, Run, Task
from tests.support.factories import added

OPTIONS = [
    {"id": "always", "name": "Always", "kind": "allow_always"},
    {"id": "yes", "name": "Run it", "kind": "allow_once"},
    {"id": "no", "name": "Do not", "kind": "reject_once"},
]


async def make_asked(session: AsyncSession, *, task: Task, run: Run, **overrides: Any) -> Question:
    """Make an open question of the agent of a run."""
    id_ = new_id()
    values: dict[str, Any] = {
        "id": id_,
        "project_id": task.project_id,
        "task_id": task.id,
        "run_id": run.id,
        "request_id": id_.hex,
        "kind": QuestionKind.PERMISSION,
        "title": "Run make deploy?",
        "detail": "make deploy",
        "options": OPTIONS,
        "risk": QuestionRisk.NORMAL,
        "urgency": Urgency.NORMAL,
        "digest": hashlib.sha256(id_.bytes).digest(),
        "opened_at": utcnow(),
        "status": QuestionStatus.OPEN,
    }
    return await added(session, Question(**(values | overrides)))
