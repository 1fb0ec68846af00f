"""Whole chains through API and worker: a token from its request to its end, and a failed check to its follow-up run."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Run, RunCredential
from tests.support.callers import bearer
from tests.support.factories import make_key
from tests.support.web.clients import in_process_client
from tests.worker.private_host import TOKEN, USER_TOKEN, WORK, Host, Lookout

SECRET = "a-secret-between-the-host-and-us"
JSON = dict[str, Any]


@pytest.fixture
async def api(host: Host, shared_application: FastAPI) -> httpx.AsyncClient:
    """A client of the API that uses the workshop's worker."""
    shared_application.state.process = host.workshop.context.process
    async with unit_of_work(host.workshop.sessions) as session:
        key = await make_key(session, user=host.workshop.owner)
    return in_process_client(shared_application, headers=bearer(key))


async def created_task(host: Host, api: httpx.AsyncClient, integration_id: int, **fields: Any) -> str:
    """Create a task in the private repository as a client does; return its URL."""
    url = f"/api/projects/{host.workshop.project.id}/tasks"
    body = {"title": "Say hello", "repository": "acme/app", "github_integration": integration_id, **fields}
    answer = await api.post(url, json=body)
    assert answer.status_code == 201, answer.text
    return f"{url}/{answer.json()['id']}"


async def run_of(host: Host, run_id: str) -> Run:
    async with unit_of_work(host.workshop.sessions) as session:
        return (await session.scalars(select(Run).where(Run.id == run_id))).one()


async def rows_with(sessions: SessionFactory, secret: str) -> list[str]:
    """Return the tables that hold a secret in any row."""
    async with unit_of_work(sessions) as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        found = []
        for table in tables.all():
            statement = text(f'SELECT count(*) FROM "{table}" AS t WHERE strpos(t::text, :secret) > 0')  # noqa: S608 - names from the catalogue
            if await session.scalar(statement, {"secret": secret}):
                found.append(table)
    return found


async def texts_of_redis(host: Host) -> AsyncIterator[str]:
    """Yield all that Redis holds, as text."""
    redis = host.workshop.context.process.redis
    ask: Any = redis.execute_command  # which the library leaves untyped
    readers = {
        b"string": ("GET",),
        b"stream": ("XRANGE", "-", "+"),
        b"hash": ("HGETALL",),
        b"list": ("LRANGE", 0, -1),
        b"zset": ("ZRANGE", 0, -1),
        b"set": ("SMEMBERS",),
    }
    async for key in redis.scan_iter():
        command, *arguments = readers[await redis.type(key)]
        yield repr(await ask(command, key, *arguments))


async def test_token_goes_from_the_request_to_git_and_is_seen_nowhere_else(
    host: Host, api: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    integration = await host.integrate(token=TOKEN)
    task_url = await created_task(host, api, integration.id, description=WORK)
    lookout = Lookout(tmp_path, [TOKEN, USER_TOKEN])

    started = await api.post(
        f"{task_url}/run", json={"pr_authorship_mode": "user", "github_user_token": USER_TOKEN}
    )
    assert started.status_code == 200, started.text
    run = await run_of(host, started.json()["latest_run"]["id"])
    async with unit_of_work(host.workshop.sessions) as session:
        kept = await session.get_one(RunCredential, run.id)
    cipher = host.workshop.context.process.cipher
    assert cipher.decrypt(kept.encrypted_token) == USER_TOKEN
    assert await rows_with(host.workshop.sessions, USER_TOKEN) == []
    assert await rows_with(host.workshop.sessions, str(run.id)) != [], "or nothing is found at all"

    async with lookout.looking(host.service):
        ended = await host.execute(run)

    assert ended.status == RunStatus.COMPLETED, ended.error_message
    assert host.service.pulls[0]["author"] == "ada"
    assert lookout.found == set()
    assert "git" in lookout.looked_at
    async with unit_of_work(host.workshop.sessions) as session:
        assert (await session.execute(select(RunCredential))).all() == []
    seen = [started.text, caplog.text, await host.log_of(run)]
    seen += [await host.workshop.stored(artifact["storage_path"]) for artifact in ended.artifacts]
    run_url = f"{task_url}/runs/{run.id}"
    for url in (task_url, f"{task_url}/runs", run_url, f"{run_url}/logs", f"{run_url}/session_logs"):
        answer = await api.get(url)
        assert answer.status_code == 200, url
        seen.append(answer.text)
    seen += [kept async for kept in texts_of_redis(host)]
    for secret in (USER_TOKEN, TOKEN):
        assert [said[:200] for said in seen if secret in said] == []
        assert await rows_with(host.workshop.sessions, secret) == []


async def test_failed_checks_lead_to_three_follow_up_runs_on_the_branch_and_its_pull_request(
    host: Host, api: httpx.AsyncClient
) -> None:
    integration = await host.integrate(token=TOKEN, webhook_secret=SECRET)
    attempt = "```sh\necho again >> attempts.txt\n```\n```say\nMended.\n```"
    task_url = await created_task(host, api, integration.id, description=WORK, ci_prompt=attempt)
    started = await api.post(f"{task_url}/run", json={})
    run = await host.execute(await run_of(host, started.json()["latest_run"]["id"]))
    output = run.output or {}
    branch, pull_url = output["head_branch"], output["pr_url"]

    for number, event in enumerate(("check_suite", "workflow_run", "check_suite"), start=1):
        receipt = await report_failure(api, integration.id, event, branch, output["head_sha"])
        assert receipt["status"] == "started", receipt
        run = await host.execute(await run_of(host, receipt["run"]))
        assert run.status == RunStatus.COMPLETED, run.error_message
        output = run.output or {}
        assert (output["head_branch"], output["pr_url"]) == (branch, pull_url)
        assert host.repositories.show("acme/app", f"{branch}:attempts.txt") == "again\n" * number
        assert host.repositories.show("acme/app", f"{branch}:hello.txt") == "Hello\n"
        [pull] = host.service.pulls
        assert "Mended." in pull["body"]

    fourth = await report_failure(api, integration.id, "workflow_run", branch, output["head_sha"])

    assert (fourth["status"], fourth["run"]) == ("ignored", None)
    assert (await host.workshop.read(run)).facts["ci_follow_up"]["refused"] == fourth["reason"]
    listed = (await api.get(f"{task_url}/runs")).json()["results"]
    assert len(listed) == 4


async def report_failure(
    api: httpx.AsyncClient, integration_id: int, event: str, branch: str, sha: str
) -> JSON:
    """Deliver a failed check as the host does; return what the service says of it."""
    check = {
        "conclusion": "failure",
        "head_branch": branch,
        "head_sha": sha,
        "name": "tests",
        "head_repository": {"full_name": "acme/app"},
    }
    body = orjson.dumps({"action": "completed", event: check, "repository": {"full_name": "acme/app"}})
    answer = await api.post(
        f"/api/webhooks/github?integration={integration_id}",
        content=body,
        headers={
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"{event}-{sha}",
            "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        },
    )
    assert answer.status_code == 200, answer.text
    receipt: JSON = answer.json()
    return receipt
