"""Files pass through an API process or past it, never into its memory: many downloads, a large upload (contract 8)."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.e2e.conftest import Api
from tests.support.callers import bearer
from tests.support.deployment.memory import forget_peak, peak_of
from tests.support.waiting import eventually
from tests.support.web.uploads import upload_and_finalize

MEBIBYTE = 2**20
CONTENT = bytes(range(256)) * (30 * MEBIBYTE // 256)
DOWNLOADS = 50
ALLOWED_EXTRA = 100 * MEBIBYTE


@pytest.fixture
async def url(client: httpx.AsyncClient) -> str:
    """The path of a run's files."""
    task = (await client.post("", json={"description": "Files"})).json()
    run = (await client.post(f"/{task['id']}/runs")).json()
    return f"/{task['id']}/runs/{run['id']}/artifacts"


@pytest.fixture
async def slow_client(api: Api, key: str) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client for which the kernel keeps little: what it has not read fills up what is between sooner."""
    transport = httpx.AsyncHTTPTransport(
        socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)],
        limits=httpx.Limits(max_connections=DOWNLOADS),
    )
    async with httpx.AsyncClient(
        transport=transport,
        base_url=f"{api.base_url}/api/projects/@current/tasks",
        headers=bearer(key),
        timeout=60,
    ) as client:
        yield client


async def test_thirty_megabytes_never_sit_in_the_memory_of_the_api(
    client: httpx.AsyncClient, slow_client: httpx.AsyncClient, url: str, api: Api
) -> None:
    process = api.process
    small = await upload_and_finalize(client, url, b"hello", name="small.txt")
    await client.get(f"{url}/download", params={"storage_path": small["storage_path"]})
    before = forget_peak(process.pid)

    entry = await upload_and_finalize(client, url, CONTENT, name="large.bin")
    assert entry["size"] == len(CONTENT)
    path = {"storage_path": entry["storage_path"]}
    assert (await client.get(f"{url}/download", params=path)).content == CONTENT
    assert peak_of(process.pid) - before < len(CONTENT) / 2

    async with AsyncExitStack() as stack:

        async def has_begun() -> bool:
            """Read the beginning and no more, so that everything between here and the store fills up."""
            response = await stack.enter_async_context(
                slow_client.stream("GET", f"{url}/download", params=path)
            )
            if response.status_code == 503:
                # On a busy machine the store may be slow for a moment.
                await response.aclose()
                return False
            assert response.status_code == 200
            assert await anext(response.aiter_bytes(1024)) == CONTENT[:1024]
            return True

        async def is_ready() -> bool:
            return (await client.get(f"{api.base_url}/readyz")).status_code == 200

        await asyncio.gather(*(eventually(has_begun) for _ in range(DOWNLOADS)))
        # Small calls have connections of their own.
        await eventually(is_ready)
        assert peak_of(process.pid) - before < ALLOWED_EXTRA
