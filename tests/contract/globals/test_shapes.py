"""Shapes of responses: exactly these keys, in these formats (contract 2.8, 3)."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx

from app.clients.storage.object_store import LOG_TAGS, ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.enums import Environment, OriginProduct, RunStatus
from app.models import Run, Task, User
from tests.support.assertions import assert_page, concerning
from tests.support.clock import MovableClock
from tests.support.makers import NewRun, NewTask
from tests.support.web.clients import socket_client

TASK_KEYS = {
    "id", "task_number", "slug", "title", "title_manually_set", "description", "origin_product",
    "repository", "github_integration", "github_user_integration", "signal_report", "json_schema",
    "internal", "archived", "archived_at", "latest_run", "created_at", "updated_at",
    "last_activity_at", "created_by", "ci_prompt", "acceptance",
}  # fmt: skip
USER_KEYS = {
    "id", "uuid", "distinct_id", "first_name", "last_name", "email", "is_email_verified", "hedgehog_config",
    "role_at_organization",
}  # fmt: skip
RUN_KEYS = {
    "id", "task", "stage", "branch", "status", "environment", "runtime_adapter", "provider", "model",
    "reasoning_effort", "log_url", "error_message", "output", "state", "artifacts", "created_at",
    "updated_at", "completed_at", "scheduled_at", "verification",
}  # fmt: skip
ZERO_MICROSECONDS = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
SOME_MICROSECONDS = datetime(2026, 3, 1, 10, 0, 0, 1200, tzinfo=UTC)


def test_contract_counts_its_keys() -> None:
    assert (len(TASK_KEYS), len(USER_KEYS), len(RUN_KEYS)) == (22, 9, 20)


async def test_every_answer_with_a_task_has_exactly_its_keys(
    client: httpx.AsyncClient, tasks_url: str, task: Task, run: Run
) -> None:
    """Contract 3.1; the nested objects are 3.2 and 3.3."""
    url = f"{tasks_url}/{task.id}"
    shown = [
        (await client.post(tasks_url, json={"title": "made"})).json(),
        (await client.get(url)).json(),
        (await client.patch(url, json={"title": "changed"})).json(),
        (await client.put(url, json={})).json(),
        (await client.post(f"{url}/run")).json(),
        *assert_page(await client.get(tasks_url), count=2),
    ]
    for body in shown:
        assert set(body) == TASK_KEYS
        assert set(body["created_by"]) == USER_KEYS
    with_run = [body["latest_run"] for body in shown if body["id"] == str(task.id)]
    assert len(with_run) == 5
    assert with_run[0]["id"] == str(run.id)
    for latest in with_run:
        assert set(latest) == RUN_KEYS


async def test_every_answer_with_a_run_has_exactly_its_keys(
    client: httpx.AsyncClient, task_url: str, run: Run
) -> None:
    rows = assert_page(await client.get(f"{task_url}/runs"), count=1)
    retrieved = (await client.get(f"{task_url}/runs/{run.id}")).json()
    assert rows == [retrieved]
    assert set(retrieved) == RUN_KEYS


async def test_task_is_shown_with_every_field(
    client: httpx.AsyncClient, new_task: NewTask, owner: User, tasks_url: str
) -> None:
    schema = {"type": "object"}
    task = await new_task(
        title="Fix the login page",
        description="It flickers.",
        origin_product=OriginProduct.SLACK,
        repository="org/repo",
        json_schema=schema,
        internal=True,
        archived=True,
        archived_at=ZERO_MICROSECONDS,
        ci_prompt="Try again.",
        created_at=SOME_MICROSECONDS,
    )
    assert (await client.get(f"{tasks_url}/{task.id}")).json() == {
        "id": str(task.id),
        "task_number": 0,
        "slug": "TES-0",
        "title": "Fix the login page",
        "title_manually_set": True,
        "description": "It flickers.",
        "origin_product": "slack",
        "repository": "org/repo",
        "github_integration": None,
        "github_user_integration": None,
        "signal_report": None,
        "json_schema": schema,
        "internal": True,
        "archived": True,
        "archived_at": "2026-03-01T10:00:00Z",
        "latest_run": None,
        "created_at": "2026-03-01T10:00:00.001200Z",
        "updated_at": "2026-03-01T10:00:00.001200Z",
        "last_activity_at": "2026-03-01T10:00:00.001200Z",
        "created_by": {
            "id": owner.id,
            "uuid": str(owner.uuid),
            "distinct_id": owner.distinct_id,
            "first_name": "Olga",
            "last_name": "User",
            "email": owner.email,
            "is_email_verified": None,
            "hedgehog_config": None,
            "role_at_organization": None,
        },
        "ci_prompt": "Try again.",
        "acceptance": None,
    }


async def test_task_without_creator_and_number(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    """Contract 3.1: rows from before numbering have null and an empty slug; deleted accounts leave null."""
    task = await new_task(created_by=None, task_number=None)
    body = (await client.get(f"{tasks_url}/{task.id}")).json()
    assert (body["task_number"], body["slug"], body["created_by"]) == (None, "", None)


async def test_run_is_shown_with_every_field(
    client: httpx.AsyncClient, new_run: NewRun, task: Task, task_url: str
) -> None:
    artifact = {
        "id": "0" * 32,
        "name": "changes.patch",
        "type": "output",
        "source": "",
        "size": 12,
        "content_type": "text/x-diff",
        "storage_path": "tasks/artifacts/x",
        "uploaded_at": "2026-03-01T10:00:00+00:00",
    }
    # An entry of an earlier release has no more.
    added = {"uploaded_by": "user", "uploaded_by_user_id": None, "dismissed_at": None, "metadata": None}
    state = {
        "mode": "background",
        "runtime_adapter": "codex",
        "provider": "openai",
        "model": "gpt-5.5",
        "reasoning_effort": "low",
    }
    run = await new_run(
        status=RunStatus.FAILED,
        environment=Environment.LOCAL,
        stage="build",
        branch="main",
        error_message="The step failed.",
        output={"summary": "half done"},
        state=state,
        artifacts=[artifact],
        created_at=SOME_MICROSECONDS,
        completed_at=ZERO_MICROSECONDS,
    )
    url = f"{task_url}/runs/{run.id}"
    body = (await client.get(url)).json()
    log_url = body.pop("log_url")
    assert log_url is None or urlsplit(log_url).scheme in {"http", "https"}
    assert body == {
        "id": str(run.id),
        "task": str(task.id),
        "stage": "build",
        "branch": "main",
        "status": "failed",
        "environment": "local",
        "runtime_adapter": "codex",
        "provider": "openai",
        "model": "gpt-5.5",
        "reasoning_effort": "low",
        "error_message": "The step failed.",
        "output": {"summary": "half done"},
        "state": state,
        "artifacts": [artifact | added | {"url": f"{client.base_url}{url}/artifacts/{'0' * 32}/download"}],
        "created_at": "2026-03-01T10:00:00.001200Z",
        "updated_at": "2026-03-01T10:00:00.001200Z",
        "completed_at": "2026-03-01T10:00:00Z",
        "scheduled_at": None,
        "verification": None,
    }


async def test_malformed_state_shows_nothing_instead_of_failing(
    client: httpx.AsyncClient, new_run: NewRun, task_url: str
) -> None:
    """Contract 11 #17: clients write state too."""
    values: tuple[Any, ...] = (5, True, [], {"a": 1}, None)
    for value in values:
        run = await new_run(state={"model": value, "runtime_adapter": value})
        body = (await client.get(f"{task_url}/runs/{run.id}")).json()
        with concerning(value):
            assert (body["model"], body["runtime_adapter"]) == (None, None)
    run = await new_run(artifacts=[{"name": "damaged"}])
    [artifact] = (await client.get(f"{task_url}/runs/{run.id}")).json()["artifacts"]
    assert (artifact["name"], artifact["url"]) == ("damaged", None)


async def test_log_url_is_signed_for_an_hour_and_stays_the_same_for_55_minutes(
    client: httpx.AsyncClient, store: ObjectStore, task: Task, run: Run, task_url: str, clock: MovableClock
) -> None:
    """Contract 3.3: clients may cache it. No credential is needed to read the log: the signature is one.

    Every process signs for the same periods.
    """
    clock.now = datetime.fromtimestamp(540_000 * timedelta(minutes=55).total_seconds(), UTC)

    async def log_url() -> str:
        url: str = (await client.get(task_url)).json()["latest_run"]["log_url"]
        return url

    first = await log_url()
    assert parse_qs(urlsplit(first).query)["X-Amz-Expires"] == ["3600"]
    clock.advance(minutes=54)
    assert await log_url() == first
    entry = b'{"type": "notification"}\n'
    key = RunRef(task.project_id, task.id, run.id).log_key
    await store.put(key, entry, content_type="application/jsonl", tags=LOG_TAGS)
    clock.now = datetime.now(UTC)  # the store has a clock of its own
    async with socket_client() as outside:
        assert (await outside.get(await log_url())).content == entry


async def test_every_origin_is_taken_and_shown(client: httpx.AsyncClient, tasks_url: str) -> None:
    for origin in set(OriginProduct) - {OriginProduct.IMAGE_BUILDER}:
        response = await client.post(tasks_url, json={"origin_product": origin.value})
        assert (response.status_code, response.json()["origin_product"]) == (201, origin.value)


async def test_every_status_and_environment_is_shown(
    client: httpx.AsyncClient, new_run: NewRun, task_url: str
) -> None:
    for status, environment in itertools.product(RunStatus, Environment):
        await new_run(status=status, environment=environment)
        latest = (await client.get(task_url)).json()["latest_run"]
        assert (latest["status"], latest["environment"]) == (status.value, environment.value)


async def test_ids_are_lower_case_hyphenated_uuids(
    client: httpx.AsyncClient, tasks_url: str, task: Task, run: Run
) -> None:
    body = (await client.get(f"{tasks_url}/{str(task.id).upper()}")).json()
    assert (body["id"], body["latest_run"]["id"]) == (str(task.id), str(run.id))
    for value in (body["latest_run"]["task"], body["created_by"]["uuid"]):
        assert value == str(UUID(value))


async def test_latest_run_is_the_one_created_last(
    client: httpx.AsyncClient, new_run: NewRun, task_url: str
) -> None:
    """Contract 9.4: neither the one updated last nor an active one; ties go to the greater id."""
    later = datetime(2026, 3, 2, tzinfo=UTC)
    await new_run(status=RunStatus.IN_PROGRESS, created_at=SOME_MICROSECONDS)
    newest = await new_run(id=UUID(int=2), status=RunStatus.COMPLETED, created_at=later)
    await new_run(id=UUID(int=1), status=RunStatus.QUEUED, created_at=later)
    assert (await client.get(task_url)).json()["latest_run"]["id"] == str(newest.id)


async def test_no_content_has_neither_body_nor_type(client: httpx.AsyncClient, task_url: str) -> None:
    """Contract 2.1."""
    response = await client.delete(task_url)
    assert response.status_code == 204
    assert response.content == b""
    assert "content-type" not in response.headers
