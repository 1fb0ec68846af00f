"""A page of huge rows ends early and links to the rest: no list is larger than the memory of the process allows."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.api_limits import PAGE_BYTES
from app.config import Settings
from app.db import create_engine, create_session_factory
from app.models import Project, Run, Task, User
from app.runtime import ProcessContext
from tests.support.assertions import concerning
from tests.support.callers import Caller
from tests.support.factories import make_run
from tests.support.makers import NewRun, NewTask
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

pytestmark = pytest.mark.walls

MIB = 2**20
# More than one page of a mebibyte each, fewer than two.
MANY = PAGE_BYTES // MIB + 4


async def read_all(client: httpx.AsyncClient, url: str, *, count: int = MANY) -> list[list[Any]]:
    """Return the results of all pages, by following their links."""
    pages, link = [], url
    while link:
        page = (await client.get(link)).json()
        assert page["count"] == count
        pages.append(page["results"])
        link = page["next"]
    return pages


@pytest.fixture
async def tasks(new_task: NewTask) -> list[Task]:
    return [await new_task(title=f"huge {number}", description="x" * MIB) for number in range(MANY)]


async def test_tasks_of_a_mebibyte_make_two_pages(
    client: httpx.AsyncClient, owner: User, tasks: list[Task], tasks_url: str
) -> None:
    for query in ("", "", "&archived=all", "&search=huge", f"&created_by={owner.id}"):
        # The second time some of it is cached.
        first, second = await read_all(client, f"{tasks_url}?limit=100{query}")
        with concerning(query):
            assert (len(first), len(second)) == (PAGE_BYTES // MIB, 4)
            assert sorted(task["id"] for task in first + second) == sorted(str(task.id) for task in tasks)
            assert first[0]["description"] == "x" * MIB

    # A small limit stays what it is.
    page = (await client.get(f"{tasks_url}?limit=2")).json()
    assert (len(page["results"]), page["count"]) == (2, len(tasks))
    assert "offset=2" in page["next"]


async def test_row_that_is_larger_than_a_page_is_a_page(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, new_task: NewTask, tasks_url: str
) -> None:
    for _ in range(3):
        await new_task()
    large = update(Task).where(Task.project_id == project.id).values(description="x" * (PAGE_BYTES + 1))
    await session.execute(large)
    pages = await read_all(client, tasks_url, count=3)
    assert [len(page) for page in pages] == [1] * 3


async def test_page_of_huge_runs_ends_early(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, new_run: NewRun
) -> None:
    """Data that compresses well has its full size in the process."""
    for _ in range(MANY):
        await new_run()
    text = "x" * (MIB - 64)
    large: dict[str, Any] = {
        "state": {"a": text},
        "output": {"a": text},
        "artifacts": [{"id": text}],
        "error_message": text,
    }
    small: dict[str, Any] = {"state": {}, "output": None, "artifacts": [], "error_message": None}
    for column, value in large.items():
        changes = small | {column: value}
        await session.execute(update(Run).where(Run.task_id == task.id).values(changes))
        first, second = await read_all(client, f"{task_url}/runs?limit=100")
        with concerning(column):
            assert len(first) == PAGE_BYTES // MIB + 1
            assert len({run["id"] for run in first + second}) == len(first + second) == MANY


async def test_latest_runs_weigh_in_lists_of_tasks(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    for _ in range(MANY):
        await make_run(session, task=await new_task(), state={"a": "x" * MIB})
    first, second = await read_all(client, f"{tasks_url}?limit=100")
    assert (len(first), len(second)) == (PAGE_BYTES // MIB, 4)


@pytest.fixture
async def narrow(
    application: FastAPI, process: ProcessContext, settings: Settings
) -> AsyncGenerator[FastAPI, None]:
    """The application with a single connection to its database."""
    alone = settings.model_copy(update={"database_pool_size": 1})
    engine = create_engine(alone, application_name="taskbeacon-tests")
    application.state.process = replace(process, sessions=create_session_factory(engine))
    yield application
    await engine.dispose()


async def test_client_that_takes_nothing_keeps_no_connection_from_others(
    narrow: FastAPI, caller: Caller, tasks: list[Task], tasks_url: str
) -> None:
    """Requests of others waited for a connection until they were answered with 503."""
    assert tasks
    head = "".join(f"{name}: {value}\r\n" for name, value in caller.headers.items())
    request = f"GET {tasks_url}?limit=100 HTTP/1.1\r\nHost: x\r\n{head}\r\n"
    async with (
        serving(narrow) as url,
        socket_client(base_url=url, headers=caller.headers) as others,
    ):
        idle = [await asyncio.open_connection("127.0.0.1", urlsplit(url).port) for _ in range(3)]
        for reader, writer in idle:
            writer.write(request.encode() * 3)
            # It has begun to take its answer.
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        answers = await asyncio.gather(*(others.get(f"{tasks_url}?limit=1") for _ in range(10)))
        for _, writer in idle:
            writer.transport.abort()
    assert {answer.status_code for answer in answers} == {200}
