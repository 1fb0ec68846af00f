"""Clients that stop reading a file or a log give its place in the object store back to others (contract 6.4, 13.13)."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator

import httpx
import pytest
from fastapi import FastAPI

from app.clients.storage.object_store import LOG_TAGS, ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.config import Settings
from app.ids import new_hex_id
from app.models import Run
from app.web.responses import LargeResponses
from tests.support.callers import Caller
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

pytestmark = pytest.mark.walls

# More than the buffers of a connection hold.
SIZE = 16 * 2**20


@pytest.fixture
async def object_store(settings: Settings) -> AsyncGenerator[ObjectStore, None]:
    """A store in which one of the two places of those who read is taken."""
    key = f"read-{new_hex_id()}"
    async with ObjectStore(settings, streams=2) as store:
        await store.put(key, b"x", content_type="text/plain", tags=LOG_TAGS)
        async with store.open(key):
            yield store


@pytest.fixture
def impatient(application: FastAPI) -> Generator[FastAPI, None, None]:
    """The API, which waits two seconds for clients that do not read, and longer for one that reads slowly."""
    before = application.state.large_responses
    application.state.large_responses = LargeResponses(seconds=2, bytes_per_second=2**23)
    yield application
    application.state.large_responses = before


@pytest.mark.parametrize("what", ["file", "log"])
async def test_reader_that_stops_keeps_nobody_else_waiting(
    impatient: FastAPI, caller: Caller, task_url: str, run: Run, object_store: ObjectStore, what: str
) -> None:
    async with (
        serving(impatient) as base_url,
        socket_client(base_url=base_url, headers=caller.headers) as client,
    ):
        path = f"{task_url}/runs/{run.id}/logs"
        key = RunRef(run.project_id, run.task_id, run.id).log_key
        if what == "file":
            item = {"name": "a.txt", "type": "output", "content": "small", "content_type": "text/plain"}
            made = await client.post(f"{task_url}/runs/{run.id}/artifacts", json={"artifacts": [item]})
            key = made.json()["artifacts"][0]["storage_path"]
            path = f"{task_url}/runs/{run.id}/artifacts/download?storage_path={key}"
        await object_store.put(key, b"x" * SIZE, content_type="text/plain", tags=LOG_TAGS)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            address = httpx.URL(base_url)
            slow.connect((address.host, address.port))
            head = "".join(f"{name}: {value}\r\n" for name, value in caller.headers.items())
            slow.sendall(f"GET {path} HTTP/1.1\r\nHost: api\r\n{head}\r\n".encode())
            assert await asyncio.to_thread(slow.recv, 1)

            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            assert len(answer.content) >= SIZE
