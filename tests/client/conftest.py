"""Both clients behind one face, so that each scenario is written once; and the scripted server."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from taskbeacon.client import AsyncClient, Client
from tests.client.command import beacon, taskbeacon
from tests.client.server import Server, serving
from tests.client.terminal import printing
from tests.devstack.launchers import git
from tests.support.waiting import next_round

__all__ = ["beacon", "printing", "taskbeacon"]


class Calls(Protocol):
    """A client whose methods are called by name, such as `tasks.get`."""

    async def call(self, name: str, *args: Any, **options: Any) -> Any: ...
    async def items(self, name: str, *args: Any, most: int | None = None, **options: Any) -> list[Any]: ...


class SyncCalls:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(attrgetter(name)(self._client), *args, **options)

    async def items(self, name: str, *args: Any, most: int | None = None, **options: Any) -> list[Any]:
        def collect() -> list[Any]:
            with closing(attrgetter(name)(self._client)(*args, **options)) as items:
                return list(islice(items, most))

        return await asyncio.to_thread(collect)


class AsyncCalls:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await attrgetter(name)(self._client)(*args, **options)

    async def items(self, name: str, *args: Any, most: int | None = None, **options: Any) -> list[Any]:
        found: list[Any] = []
        async with aclosing(attrgetter(name)(self._client)(*args, **options)) as items:
            async for item in items:
                found.append(item)
                if len(found) == most:
                    break
        # httpx leaves the ends of its inner generators to the loop.
        await next_round()
        return found


NewCalls = Callable[..., Calls]


@pytest.fixture(autouse=True)
def bare_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the configuration of the machine."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest_asyncio.fixture
async def server() -> AsyncGenerator[Server, None]:
    async with serving() as server:
        yield server


@pytest_asyncio.fixture(params=["sync", "async"])
async def new_calls(request: pytest.FixtureRequest) -> AsyncGenerator[NewCalls, None]:
    """Makes clients of one kind; the arguments are those of the client."""
    opened: list[Client | AsyncClient] = []

    def make(url: str, **options: Any) -> Calls:
        arguments = {"token": "phx_secret", **options}
        if request.param == "sync":
            client = Client(url, **arguments)
            opened.append(client)
            return SyncCalls(client)
        other = AsyncClient(url, **arguments)
        opened.append(other)
        return AsyncCalls(other)

    yield make
    for each in opened:
        if isinstance(each, Client):
            each.close()
        else:
            await each.aclose()


@pytest.fixture
def calls(server: Server, new_calls: NewCalls) -> Calls:
    return new_calls(server.url)


@pytest.fixture
def _pauses_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses take no time, and move the clock."""
    now, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "sleep", lambda seconds: passed.append(passed.pop() + seconds))
    monkeypatch.setattr(time, "monotonic", lambda: now() + passed[0])


@pytest.fixture
def _in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "--quiet")
