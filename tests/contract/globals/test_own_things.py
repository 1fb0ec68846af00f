"""What a review asks for often costs few statements, and is never a run token's (contract 19)."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.models import Project, Run
from tests.support.assertions import concerning
from tests.support.callers import bearer
from tests.support.database.queries import recorded
from tests.support.web.clients import in_process_client

KEYS = "/api/users/@me/api_keys"


@pytest.fixture
def run_url(task_url: str, run: Run) -> str:
    return f"{task_url}/runs/{run.id}"


async def test_reads_of_a_review_send_one_statement_beside_that_of_the_key(
    client: httpx.AsyncClient, engine: AsyncEngine, project: Project, run_url: str
) -> None:
    in_project = f"/api/projects/{project.id}"
    environment = (await client.post(f"{in_project}/sandbox_environments", json={"name": "e"})).json()["id"]
    for url, count in (
        (f"{run_url}/diff?source=auto", 2),
        (f"{run_url}/diff/file?source=auto&path=a.py", 2),
        (f"{run_url}/review", 2),
        (f"{in_project}/agents", 1),
        (f"{in_project}/agents?sandbox_environment_id={environment}", 2),
        (f"{in_project}/limits", 1),
        (KEYS, 2),
    ):
        async with recorded(engine) as statements:
            assert (await client.get(url)).status_code == 200
        with concerning((url, statements)):
            assert len(statements) == count


async def test_run_token_opens_no_review_and_no_keys(
    client: httpx.AsyncClient, application: FastAPI, run_url: str
) -> None:
    token = (await client.get(f"{run_url}/connection_token")).json()["token"]
    review = {"version": 0, "viewed": [], "comments": []}
    key = {"label": "a", "scopes": ["task:read"]}
    async with in_process_client(application, headers=bearer(token)) as agent:
        for method, url, body in (
            ("GET", f"{run_url}/review", None),
            ("PUT", f"{run_url}/review", review),
            ("GET", f"{run_url}/diff?source=live", None),
            ("GET", KEYS, None),
            ("POST", KEYS, key),
            ("DELETE", f"{KEYS}/00000000-0000-4000-8000-000000000000", None),
        ):
            answer = await agent.request(method, url, json=body)
            with concerning((method, url)):
                status = 401 if url.startswith(KEYS) else 403
                assert (answer.status_code, answer.json()["code"]) == (status, "authentication_failed")
    assert (await client.get(f"{run_url}/review")).json()["version"] == 0
