"""The application on a real socket, with a run: its streams and requests are open side by side."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support.callers import Caller
from tests.support.stand_ins.outside_agents import Agent
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

JSON = dict[str, Any]


@pytest.fixture
async def api(application: FastAPI, caller: Caller) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client over a socket: one in the process would send a body and get an answer only when it is complete."""
    async with (
        serving(application) as base_url,
        socket_client(base_url=base_url, headers=caller.headers) as client,
    ):
        yield client


@pytest.fixture
async def task_url(api: httpx.AsyncClient, tasks_url: str) -> str:
    return f"{tasks_url}/{(await api.post(tasks_url, json={'title': 'Say hello'})).json()['id']}"


@pytest.fixture
async def run(api: httpx.AsyncClient, task_url: str) -> JSON:
    created: JSON = (await api.post(f"{task_url}/runs")).json()
    return created


@pytest.fixture
def url(task_url: str, run: JSON) -> str:
    """The path of the run."""
    return f"{task_url}/runs/{run['id']}"


@pytest.fixture
async def agent(
    api: httpx.AsyncClient,
    url: str,
    signing_key: None,  # noqa: ARG001 - made once, instead of by the first request for a token
) -> Agent:
    """An agent outside our workers that performs the run."""
    return Agent(api, url, (await api.get(f"{url}/connection_token")).json()["token"])
