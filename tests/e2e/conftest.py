"""The service's processes, and a client of a project's member.

One API and one worker serve the tests of this folder, for as long as these leave them running: starting a process takes
longer than most of what is asked of it.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.db import SessionFactory, unit_of_work
from tests.agents.conftest import remembering_adapter
from tests.e2e.desk import Desk
from tests.fixtures.worker import Repositories
from tests.support.callers import bearer
from tests.support.deployment.processes import ServiceProcess, address_of, service_process, wait_until_ready
from tests.support.devices import expo_token
from tests.support.factories import make_key, make_project, make_user
from tests.support.stand_ins.push import PushService, expo_application
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

# How the agents of these names act (tests/agents/remembering_agent.py).
_ACTORS = ("work", "spend")


class Api:
    """An API process, and where it listens."""

    def __init__(self, base_url: str, process: ServiceProcess) -> None:
        self.base_url = base_url
        self.process = process


class Service:
    """An API and a worker; each is started when it is asked for and does not run."""

    def __init__(self, settings: Settings, folder: Path, phones: PushService, expo_url: str) -> None:
        self.repositories = Repositories(folder / "repositories")
        # What the worker has pushed.
        self.phones = phones
        self.workspaces, self.temporary = folder / "workspaces", folder / "temporary"
        self.temporary.mkdir()
        self._settings = settings
        self._folder = folder
        catalog = folder / "agents.json"
        catalog.write_text(json.dumps({"adapters": {manner: _actor(manner) for manner in _ACTORS}}))
        self._environment = {
            "TASKBEACON_AGENT_CATALOG": str(catalog),
            "TASKBEACON_EXPO_BASE_URL": expo_url,
            "TASKBEACON_EXPO_MESSAGES_PER_SECOND": "0",
            # So little that a check can use it up at once.
            "TASKBEACON_AGENT_MEMORY_MB": "512",
            "TASKBEACON_AGENT_PROCESSES": "100",
            "TASKBEACON_AGENT_DISK_MB": "64",
        }
        self._stack = ExitStack()
        self._api: Api | None = None
        self._worker: ServiceProcess | None = None

    async def api(self) -> Api:
        """Return an API that is ready."""
        if self._api is None or not self._api.process.is_running:
            process = self._start("serve --port 0", "api.log")
            self._api = Api(await address_of(process), process)
            async with socket_client(base_url=self._api.base_url) as client:
                await wait_until_ready(client, process)
        return self._api

    def worker(self, **environment: str) -> ServiceProcess:
        """Return a worker, which gives its runs a second to finish when it is stopped; a new one gets `environment`."""
        if self._worker is None or not self._worker.is_running:
            self._worker = self._start(
                "worker",
                "worker.log",
                TASKBEACON_HOME=str(self._folder / "home"),
                TASKBEACON_WORKSPACES=str(self.workspaces),
                TMPDIR=str(self.temporary),
                TASKBEACON_GIT_BASE_URL=self.repositories.base_url,
                TASKBEACON_WORKER_DRAIN_SECONDS="1",
                **environment,
            )
        return self._worker

    async def stop_worker(self) -> None:
        """Leave the jobs of the database and Redis to workers that a test starts itself."""
        if self._worker is not None and self._worker.is_running:
            await self._worker.stop()

    def close(self) -> None:
        """End what runs."""
        self._stack.close()

    def _start(self, command: str, log: str, **environment: str) -> ServiceProcess:
        variables = self._environment | environment
        started = service_process(command, settings=self._settings, log=self._folder / log, **variables)
        return self._stack.enter_context(started)


def _actor(manner: str) -> dict[str, Any]:
    adapter = remembering_adapter(manner)
    return adapter.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)


@pytest.fixture(scope="package")
async def service(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Service, None]:
    phones = PushService()
    async with serving(expo_application(phones)) as expo_url:
        service = Service(settings, tmp_path_factory.mktemp("service"), phones, expo_url)
        yield service
        service.close()


@pytest.fixture
async def api(service: Service) -> Api:
    return await service.api()


@pytest.fixture
async def desk(client: httpx.AsyncClient, api: Api, service: Service) -> Desk:
    phone = {"token": expo_token(), "platform": "ios"}
    registered = await client.post(f"{api.base_url}/api/users/@me/push_tokens", json=phone)
    assert registered.is_success, registered.text
    return Desk(client, f"{api.base_url}/api/projects/@current", service.repositories, service.phones)


@pytest.fixture
async def no_shared_worker(service: Service) -> None:
    await service.stop_worker()


@pytest.fixture
def worker(service: Service) -> ServiceProcess:
    return service.worker()


@pytest.fixture
async def key(sessions: SessionFactory) -> str:
    """The key of a user with a new project as the current one."""
    async with unit_of_work(sessions) as session:
        user = await make_user(session, projects=[await make_project(session)])
        return await make_key(session, user=user)


@pytest.fixture
async def client(api: Api, key: str) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the API; paths are relative to the project's tasks."""
    async with socket_client(
        base_url=f"{api.base_url}/api/projects/@current/tasks",
        headers=bearer(key),
        timeout=60,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        yield client
