"""Agents that are there, and limits (contract 19.6, 19.8)."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import RedisClient, create_redis
from app.models import Project, Task
from app.runtime import ProcessContext
from app.services.runs.queue.worker_reports import report_worker, withdraw_report
from tests.support.assertions import assert_not_found
from tests.support.factories import make_run

JSON = dict[str, Any]


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/projects/{project.id}"


async def agents(client: httpx.AsyncClient, url: str, **query: str) -> dict[str, JSON]:
    answer = await client.get(f"{url}/agents/", params=query)
    assert answer.status_code == 200, answer.text
    return {agent["name"]: agent for agent in answer.json()["results"]}


async def test_agents_are_as_workers_report_them(
    client: httpx.AsyncClient, url: str, redis: RedisClient
) -> None:
    unknown = await agents(client, url)
    assert unknown.keys() >= {"claude", "codex"}
    assert "runbook" not in unknown
    claude = unknown["claude"]
    assert (claude["installed"], claude["has_key"], claude["available"], claude["reason"]) == (
        None,
        None,
        True,
        None,
    )
    assert claude["models"][0].keys() == {"name", "display_name", "efforts"}
    assert "plan" in claude["modes"]

    await report_worker(
        redis,
        "one",
        {"agents": {"claude": (True, False), "codex": (False, True)}, "slots": 4, "warnings": []},
    )
    reported = await agents(client, url)
    assert (reported["claude"]["installed"], reported["claude"]["has_key"]) == (True, False)
    assert not reported["claude"]["available"]
    assert "ANTHROPIC_API_KEY" in reported["claude"]["reason"]
    assert (reported["codex"]["installed"], reported["codex"]["available"]) == (False, False)
    assert "No worker has its program." in reported["codex"]["reason"]

    await report_worker(redis, "two", {"agents": {"claude": (False, True)}, "slots": 4, "warnings": []})
    assert (await agents(client, url))["claude"]["available"]
    await report_worker(redis, "two", {"agents": {"claude": (False, False)}, "slots": 4, "warnings": []})
    assert not (await agents(client, url))["claude"]["available"]

    await withdraw_report(redis, "one")
    await withdraw_report(redis, "two")
    assert (await client.get(f"{url}/agents")).json()["workers"] == 0
    assert (await agents(client, url))["claude"]["available"]


async def test_variables_of_an_environment_count_as_keys(
    client: httpx.AsyncClient, url: str, redis: RedisClient
) -> None:
    await report_worker(redis, "one", {"agents": {"claude": (True, False)}, "slots": 4, "warnings": []})
    body = {"name": "with a key", "environment_variables": {"ANTHROPIC_API_KEY": "secret"}}
    made = (await client.post(f"{url}/sandbox_environments", json=body)).json()

    claude = (await agents(client, url, sandbox_environment_id=made["id"]))["claude"]

    assert (claude["has_key"], claude["available"]) == (True, True)
    other = "00000000-0000-4000-8000-000000000000"
    assert_not_found(await client.get(f"{url}/agents?sandbox_environment_id={other}"))


async def test_agents_and_queue_are_shown_while_redis_is_away(
    client: httpx.AsyncClient,
    url: str,
    session: AsyncSession,
    task: Task,
    application: FastAPI,
    process: ProcessContext,
) -> None:
    """Regression: both were 503. What only workers know is null."""
    await make_run(session, task=task, dispatch_requested_at=task.created_at)
    redis = create_redis("redis://127.0.0.1:1/0")
    application.state.process = replace(process, redis=redis)

    shown = await client.get(f"{url}/agents")
    figures = (await client.get(f"{url}/queue")).json()
    await redis.aclose()

    assert shown.status_code == 200, shown.text
    assert (shown.json()["workers"], {agent["installed"] for agent in shown.json()["results"]}) == (
        None,
        {None},
    )
    of_workers = {name: figures[name] for name in ("queued", "workers", "slots", "waits_for")}
    assert of_workers == {"queued": 1, "workers": None, "slots": None, "waits_for": None}


async def test_limits_are_those_of_the_settings(client: httpx.AsyncClient, url: str) -> None:
    limits = {limit["id"]: limit for limit in (await client.get(f"{url}/limits/")).json()["results"]}

    assert limits["request_bytes"] == {"id": "request_bytes", "value": 20 * 2**20, "unit": "bytes"}
    assert limits["pdf_bytes"] == {"id": "pdf_bytes", "value": 10 * 2**20, "unit": "bytes"}
    assert limits["run_seconds"]["value"] > 0
    assert limits["task_tokens"]["value"] is None
