"""One task of the owner with one run: what the routes of a task are about."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project, Run, Task, User
from tests.support.factories import make_run, make_task


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User) -> Task:
    return await make_task(session, project=project, created_by=owner, title="Fix the login page")


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_run(session, task=task)


@pytest.fixture
def task_url(tasks_url: str, task: Task) -> str:
    return f"{tasks_url}/{task.id}"


@pytest.fixture
def run_url(task_url: str) -> str:
    """Where a run of the task is started."""
    return f"{task_url}/run"
