"""Questions of agents for tests, as rows."""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import QuestionKind, QuestionRisk, QuestionStatus, RunStatus, Urgency
from app.ids import new_id
from app.models import Question, Run, Task
from tests.support.factories import added, make_run

OPTIONS = [
    {"id": "allow", "name": "Allow once", "kind": "allow_once"},
    {"id": "always", "name": "Always allow", "kind": "allow_always"},
    {"id": "reject", "name": "Reject", "kind": "reject_once"},
]


async def make_live_run(session: AsyncSession, *, task: Task, **overrides: Any) -> Run:
    """Make a run with an agent at work in a worker."""
    # A busy machine is slow, not wrong.
    until = utcnow() + timedelta(hours=1)
    values: dict[str, Any] = {
        "status": RunStatus.IN_PROGRESS,
        "lease_owner": "worker",
        "lease_expires_at": until,
    }
    return await make_run(session, task=task, **(values | overrides))


async def make_question(
    session: AsyncSession, *, task: Task, run: Run | None = None, **overrides: Any
) -> Question:
    """Make an open permission request of the agent of a live run."""
    run = run or await make_live_run(session, task=task)
    id_ = new_id()
    kind = overrides.get("kind", QuestionKind.PERMISSION)
    values: dict[str, Any] = {
        "id": id_,
        "project_id": task.project_id,
        "task_id": task.id,
        "run_id": run.id,
        "task_creator_id": task.created_by_id,
        "request_id": id_.hex,
        "kind": kind,
        "title": "Run `make deploy`",
        "detail": "make deploy",
        "tool_call": {"toolCallId": "t1", "kind": "execute", "title": "Run `make deploy`"},
        "options": OPTIONS if kind == QuestionKind.PERMISSION else [],
        "risk": QuestionRisk.NORMAL,
        "urgency": Urgency.LOW if kind == QuestionKind.MESSAGE else Urgency.NORMAL,
        "digest": hashlib.sha256(id_.bytes).digest(),
        "opened_at": utcnow(),
        **of_status(overrides.get("status", QuestionStatus.OPEN)),
    }
    return await added(session, Question(**(values | overrides)))


def of_status(status: QuestionStatus) -> dict[str, Any]:
    """Return the columns of a question that has this status from now on."""
    return {"status": status, "closed_at": None if status == QuestionStatus.OPEN else utcnow()}
