"""Fixtures that the tests of the worker share beside those of all tests."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.runtime import ProcessContext
from tests.fixtures.worker import Repositories, Workshop
from tests.support.stand_ins.github import CodeHostService, github_application
from tests.support.stand_ins.receiver import Receiver, receiving
from tests.support.web.serving import serving
from tests.support.webhooks import Deliveries, delivering
from tests.worker.private_host import TOKEN, USER_TOKEN, Host


@pytest.fixture
async def host(workshop: Workshop, repositories: Repositories, tmp_path: Path) -> AsyncGenerator[Host, None]:
    service = CodeHostService(tmp_path / "repositories", {TOKEN: "bot", USER_TOKEN: "ada"})
    repositories.create("acme/app", {"README.md": "Acme\n"})
    async with serving(github_application(service)) as url:
        yield Host(service, url, workshop, repositories)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver, None]:
    """A receiver of webhooks."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def deliveries(process: ProcessContext) -> AsyncGenerator[Deliveries, None]:
    async with delivering(process) as deliveries:
        yield deliveries
