"""Servers that belong to these tests alone, a project on them, and a push service that counts."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from tests.support.deployment.own_servers import OwnServers, own_servers
from tests.support.deployment.site import Site
from tests.support.devices import make_device
from tests.support.factories import make_project, make_user
from tests.support.stand_ins.push import PushService, expo_application
from tests.support.web.serving import serving


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    with own_servers(tmp_path_factory.mktemp("own")) as servers:
        yield servers


@pytest.fixture
def own(settings: Settings, servers: OwnServers) -> Settings:
    """The settings that lead to the servers of these tests."""
    addresses = {"database_url": servers.postgres.url, "redis_url": servers.valkey.url}
    return Settings.model_validate(settings.model_dump() | addresses)


@pytest.fixture
async def sessions(own: Settings) -> AsyncGenerator[SessionFactory, None]:
    engine = create_engine(own, application_name="taskbeacon-tests")
    yield create_session_factory(engine)
    await engine.dispose()


@pytest.fixture
async def expo_url(push_service: PushService) -> AsyncGenerator[str, None]:
    async with serving(expo_application(push_service)) as base_url:
        yield base_url


@pytest.fixture
async def site(
    own: Settings, sessions: SessionFactory, expo_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Site, None]:
    """A project with an owner who has one device, to which workers push through `push_service`."""
    monkeypatch.setenv("TASKBEACON_EXPO_BASE_URL", expo_url)
    monkeypatch.setenv("TASKBEACON_EXPO_MESSAGES_PER_SECOND", "0")
    async with unit_of_work(sessions) as session:
        project = await make_project(session)
        owner = await make_user(session, projects=[project])
        await make_device(session, user=owner)
    site = Site(own, sessions, project, owner, tmp_path)
    yield site
    site.close()
