"""Fixtures that the tests of the worker share beside those of all tests."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.db import unit_of_work
from app.runtime import ProcessContext
from tests.fixtures.worker import Repositories, Workshop
from tests.support.callers import bearer
from tests.support.factories import make_key
from tests.support.stand_ins.github import CodeHostService, github_application
from tests.support.stand_ins.receiver import Receiver, receiving
from tests.support.web.clients import in_process_client
from tests.support.web.serving import serving
from tests.support.webhooks import Deliveries, delivering
from tests.worker.pilot import listening
from tests.worker.private_host import TOKEN, USER_TOKEN, Host


@pytest.fixture
async def host(workshop: Workshop, repositories: Repositories, tmp_path: Path) -> AsyncGenerator[Host, None]:
    service = CodeHostService(tmp_path / "repositories", {TOKEN: "bot", USER_TOKEN: "ada"})
    repositories.create("acme/app", {"README.md": "Acme\n"})
    async with serving(github_application(service)) as url:
        yield Host(service, url, workshop, repositories)


@pytest.fixture
async def woken(workshop: Workshop) -> AsyncGenerator[None, None]:
    """The worker of this process, woken by changes."""
    async with listening(workshop):
        yield


@pytest.fixture
async def watcher(workshop: Workshop, shared_application: FastAPI) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the owner, at an API that shares the worker's servers."""
    shared_application.state.process = workshop.context.process
    async with unit_of_work(workshop.sessions) as session:
        key = await make_key(session, user=workshop.owner)
    async with in_process_client(shared_application, headers=bearer(key)) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver, None]:
    """A receiver of webhooks."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def deliveries(process: ProcessContext) -> AsyncGenerator[Deliveries, None]:
    async with delivering(process) as deliveries:
        yield deliveries
