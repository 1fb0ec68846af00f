"""Fixtures of a task of the owner with one run, for the tests of the contract's routes."""

from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.config import Settings
from app.models import Project, PushToken, Run, SigningKey, Task, User
from app.security.secrets import Cipher
from tests.support.callers import bearer
from tests.support.devices import make_device
from tests.support.factories import added, make_key, make_run, make_task, make_user
from tests.support.keys import rsa_pem
from tests.support.makers import NewRun, NewTask
from tests.support.web.clients import in_process_client


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User) -> Task:
    return await make_task(session, project=project, created_by=owner, title="Fix the login page")


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_run(session, task=task)


@pytest.fixture
def new_task(session: AsyncSession, project: Project, owner: User) -> NewTask:
    """Make a task of the project, the owner's unless a test says otherwise."""

    async def make(created_by: User | None = owner, **overrides: Any) -> Task:
        return await make_task(session, project=project, created_by=created_by, **overrides)

    return make


@pytest.fixture
def new_run(session: AsyncSession, task: Task) -> NewRun:
    """Make a run of the task."""
    return partial(make_run, session, task=task)


@pytest.fixture
async def colleague(session: AsyncSession, project: Project) -> User:
    """Another member of the project."""
    return await make_user(session, projects=[project])


@pytest.fixture
async def colleagues_client(
    application: FastAPI, session: AsyncSession, colleague: User
) -> httpx.AsyncClient:
    return in_process_client(application, headers=bearer(await make_key(session, user=colleague)))


@pytest.fixture
async def device(session: AsyncSession, owner: User) -> PushToken:
    """A device of the owner."""
    return await make_device(session, user=owner)


@pytest.fixture
def task_url(tasks_url: str, task: Task) -> str:
    return f"{tasks_url}/{task.id}"


@pytest.fixture
def run_url(task_url: str) -> str:
    """The path that starts a run of the task."""
    return f"{task_url}/run"


@pytest.fixture
async def signing_key(session: AsyncSession, settings: Settings) -> None:
    """The key that tokens of runs are signed with: making one takes longer than most tests."""
    stored = Cipher(settings.secret_keys).encrypt(rsa_pem())
    key = SigningKey(purpose="run_connection", key_id="made-once", private_key=stored, created_at=utcnow())
    await added(session, key)
