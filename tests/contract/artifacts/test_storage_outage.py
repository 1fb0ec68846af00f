"""The object store away or silent: a quick, clear 503, nothing half-written, and no restart afterwards (contract 8)."""

import time
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.storage.object_store import ObjectStore
from app.config import Settings
from app.models import Run, StagedArtifact
from tests.support.assertions import assert_error
from tests.support.stand_ins.outage import Interruptible, interruptible
from tests.support.waiting import patient
from tests.support.web.uploads import finalize_item, prepare, upload, upload_and_finalize

pytestmark = pytest.mark.slow
# Of one call of the store.
CALL_SECONDS = 2
# Far more than it takes, and less than to wait for each of several calls, or once for each attempt of the library.
QUICKLY_SECONDS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_server(settings: Settings) -> AsyncGenerator[Interruptible, None]:
    assert settings.s3_endpoint_url is not None
    async with interruptible(settings.s3_endpoint_url) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_store(settings: Settings, shared_server: Interruptible) -> AsyncGenerator[ObjectStore, None]:
    """A store behind a server that can fail; clients upload past it, to the public host."""
    behind = {"s3_endpoint_url": shared_server.url, "s3_public_endpoint_url": settings.s3_endpoint_url}
    async with ObjectStore(settings.model_copy(update=behind), seconds=CALL_SECONDS) as store:
        yield store


@pytest.fixture
async def server(shared_server: Interruptible) -> AsyncGenerator[Interruptible, None]:
    """The server in front of the store, which works."""
    yield shared_server
    # Without the connections of this test.
    await shared_server.refuse()
    await shared_server.resume()


@pytest.fixture
def object_store(shared_store: ObjectStore) -> ObjectStore:
    """The store behind `server`, in place of the one of all tests."""
    return shared_store


@pytest.fixture(params=["refuse", "hang"])
def fail(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(task_url: str) -> str:
    return f"{task_url}/staged_artifacts"


def assert_unavailable(response: httpx.Response) -> None:
    assert_error(
        response,
        503,
        type="server_error",
        code="unavailable",
        detail="The object store does not answer. Please try again in a moment.",
    )


async def test_signed_forms_and_urls_carry_the_public_host(
    client: httpx.AsyncClient, url: str, settings: Settings
) -> None:
    prepared = await prepare(client, url)
    assert prepared["presigned_post"]["url"].startswith(f"{settings.s3_endpoint_url}/")


async def test_finalising_fails_quickly_keeps_nothing_and_works_again(
    client: httpx.AsyncClient, url: str, session: AsyncSession, server: Interruptible, fail: str
) -> None:
    prepared = [await prepare(client, url) for _ in range(12)]
    for item in prepared:
        await upload(item)
    body = {"artifacts": [finalize_item(item) for item in prepared]}
    await getattr(server, fail)()

    began = time.monotonic()
    response = await client.post(f"{url}/finalize_upload", json=body)

    assert_unavailable(response)
    assert time.monotonic() - began < patient(QUICKLY_SECONDS)
    assert await session.scalar(select(func.count()).select_from(StagedArtifact)) == 0
    await server.resume()
    assert (await client.post(f"{url}/finalize_upload", json=body)).status_code == 200


async def test_files_of_a_run_fail_quickly_and_work_again(
    client: httpx.AsyncClient,
    task_url: str,
    session: AsyncSession,
    run: Run,
    server: Interruptible,
    fail: str,
) -> None:
    url = f"{task_url}/runs/{run.id}/artifacts"
    body = {"artifacts": [{"name": "a.txt", "type": "output", "content": "hello"}]}
    entry = (await client.post(url, json=body)).json()["artifacts"][0]
    path = {"storage_path": entry["storage_path"]}
    await getattr(server, fail)()

    began = time.monotonic()
    assert_unavailable(await client.post(url, json=body))
    assert_unavailable(await client.post(f"{url}/download", json=path))

    assert time.monotonic() - began < patient(QUICKLY_SECONDS)
    await session.refresh(run)
    assert [artifact["id"] for artifact in run.artifacts] == [entry["id"]]
    await server.resume()
    assert (await client.post(f"{url}/download", json=path)).content == b"hello"


async def test_run_starts_without_the_store_and_takes_its_files(
    client: httpx.AsyncClient, task_url: str, url: str, server: Interruptible, fail: str
) -> None:
    finished = await upload_and_finalize(client, url)
    await getattr(server, fail)()

    began = time.monotonic()
    response = await client.post(f"{task_url}/run", json={"pending_user_artifact_ids": [finished["id"]]})

    assert response.status_code == 200, response.text
    assert time.monotonic() - began < patient(QUICKLY_SECONDS)
    [artifact] = response.json()["latest_run"]["artifacts"]
    assert finished.items() <= artifact.items()
