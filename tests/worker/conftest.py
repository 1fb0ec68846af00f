"""What the tests of the worker share beside the fixtures of all tests."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.fixtures.worker import Repositories, Workshop
from tests.support.github import CodeHostService, github_application
from tests.support.serving import serving
from tests.worker.private_host import TOKEN, USER_TOKEN, Host


@pytest.fixture
async def host(workshop: Workshop, repositories: Repositories, tmp_path: Path) -> AsyncGenerator[Host, None]:
    service = CodeHostService(tmp_path / "repositories", {TOKEN: "bot", USER_TOKEN: "ada"})
    repositories.create("acme/app", {"README.md": "Acme\n"})
    async with serving(github_application(service)) as url:
        yield Host(service, url, workshop, repositories)
