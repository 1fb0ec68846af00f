"""The usage gate of cloud runs (contract 2.4, 5.8 step 3, 6.4, 11 #29)."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import SessionFactory
from app.enums import Environment, LimitType, RunStatus
from app.models import Run, StagedArtifact, Task, User
from app.runtime import ProcessContext
from app.services.access.usage_gates import Limit, UsageGate, UsageGateInvalid, open_gates
from tests.support.assertions import assert_invalid, assert_not_found
from tests.support.factories import make_run
from tests.support.stand_ins.fakes import RecordingQueue, ScriptedGate
from tests.support.web.uploads import upload_and_finalize

pytestmark = pytest.mark.walls

UNKNOWN = "11111111-1111-4111-8111-111111111111"
KEY = {"Idempotency-Key": "3f1c"}
DENIED = {
    "type": "rate_limited",
    "code": "usage_limit_exceeded",
    "error": "This project is over its usage limit.",
    "is_pro": False,
}


@asynccontextmanager
async def scripted_gate(_settings: Settings, _sessions: SessionFactory) -> AsyncGenerator[UsageGate, None]:
    """A usage gate as an operator would name it in the setting."""
    yield ScriptedGate()


@pytest.fixture
def gate(application: FastAPI, process: ProcessContext) -> ScriptedGate:
    gate = ScriptedGate()
    application.state.process = replace(process, gates=[gate])
    return gate


@pytest.fixture(params=["run", "runs"])
def request_of(request: pytest.FixtureRequest, task_url: str) -> tuple[str, Mapping[str, Any]]:
    """The request of each way to start a cloud run."""
    return f"{task_url}/{request.param}", {"environment": "cloud"} if request.param == "runs" else {}


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        pytest.param(Limit(), DENIED, id="2.4-nothing-more-is-known"),
        pytest.param(Limit(is_pro=True), DENIED | {"is_pro": True}, id="2.4-pro"),
        pytest.param(
            Limit(limit_type=LimitType.BURST, reset_at=datetime(2026, 3, 1, 11, tzinfo=UTC)),
            DENIED | {"limit_type": "burst", "reset_at": "2026-03-01T11:00:00Z"},
            id="2.4-burst",
        ),
        pytest.param(
            Limit(limit_type=LimitType.SUSTAINED), DENIED | {"limit_type": "sustained"}, id="2.4-sustained"
        ),
    ],
)
async def test_project_over_its_limit_gets_no_cloud_run(
    client: httpx.AsyncClient,
    session: AsyncSession,
    request_of: tuple[str, Mapping[str, Any]],
    task: Task,
    task_url: str,
    owner: User,
    queue: RecordingQueue,
    gate: ScriptedGate,
    limit: Limit,
    body: Mapping[str, Any],
) -> None:
    """Nothing is made, and the staged file is still there to be taken."""
    staged = await upload_and_finalize(client, f"{task_url}/staged_artifacts")
    gate.limit = limit
    url, options = request_of
    wanted = {**options, "pending_user_artifact_ids": [staged["id"]]}
    response = await client.post(url, json=wanted, headers=KEY)
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/json"
    assert list(response.json().items()) == list(body.items())
    assert gate.asked == [(task.project_id, owner.id)]
    assert queue.jobs == []
    assert await session.scalar(select(func.count(Run.id)).where(Run.task_id == task.id)) == 0
    assert list(await session.scalars(select(StagedArtifact.artifact_id))) == [staged["id"]]
    gate.limit = None
    again = await client.post(url, json=wanted, headers=KEY)
    assert again.status_code in {200, 201}, again.text
    assert len((again.json().get("latest_run") or again.json())["artifacts"]) == 1


WORK_AGAIN = [
    pytest.param("POST", "/start", {}, {"status": RunStatus.QUEUED}, id="start"),
    pytest.param("POST", "/resume_in_cloud", None, {"status": RunStatus.COMPLETED}, id="resume"),
    pytest.param("POST", "/resume_in_cloud", None, {"environment": Environment.LOCAL}, id="resume-local"),
    pytest.param(
        "PATCH",
        "",
        {"status": "queued"},
        {"status": RunStatus.IN_PROGRESS, "dispatch_requested_at": datetime(2026, 3, 1, tzinfo=UTC)},
        id="queue-again",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "given"), WORK_AGAIN)
async def test_run_that_exists_does_not_begin_to_cost_over_the_limit(
    client: httpx.AsyncClient,
    session: AsyncSession,
    task: Task,
    task_url: str,
    owner: User,
    queue: RecordingQueue,
    gate: ScriptedGate,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    given: Mapping[str, Any],
) -> None:
    """Bypass of the gate: a run made locally, or before, was resumed or started again and again."""
    run = await make_run(session, task=task, **given)
    before = (run.status, run.environment, run.dispatch_requested_at)
    gate.limit = Limit()
    url = f"{task_url}/runs/{run.id}{path}"
    response = await client.request(method, url, json=body)

    assert (response.status_code, response.json()) == (429, DENIED)
    assert gate.asked == [(task.project_id, owner.id)]
    assert queue.jobs == []
    await session.refresh(run)
    assert (run.status, run.environment, run.dispatch_requested_at) == before
    other = f"{task_url}/runs/{UNKNOWN}{path}"
    assert_not_found(await client.request(method, other, json=body))
    assert len(gate.asked) == 1
    gate.limit = None
    assert (await client.request(method, url, json=body)).status_code == 200


async def test_client_that_queues_its_own_run_costs_nothing(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str, gate: ScriptedGate
) -> None:
    run = await make_run(session, task=task, status=RunStatus.IN_PROGRESS, environment=Environment.LOCAL)
    gate.limit = Limit()
    url = f"{task_url}/runs/{run.id}"
    assert (await client.patch(url, json={"status": "queued"})).status_code == 200
    assert gate.asked == []


async def test_local_run_costs_only_its_client(
    client: httpx.AsyncClient, task_url: str, gate: ScriptedGate
) -> None:
    gate.limit = Limit()
    assert (await client.post(f"{task_url}/runs", json={})).status_code == 201
    assert gate.asked == []


async def test_gate_comes_after_body_and_task_and_before_what_the_run_names(
    client: httpx.AsyncClient,
    tasks_url: str,
    request_of: tuple[str, Mapping[str, Any]],
    gate: ScriptedGate,
) -> None:
    """Contract 5.8, steps 1 to 4."""
    gate.limit = Limit()
    url, options = request_of
    named = {**options, "sandbox_environment_id": UNKNOWN, "pending_user_artifact_ids": ["x"]}
    assert_invalid(await client.post(url, json=named | {"mode": "x"}), "mode", "invalid_choice")
    response = await client.post(url, json=named | {"model": "m"})
    assert_invalid(response, "runtime_adapter", "invalid_input")
    other = f"{tasks_url}/{UNKNOWN}/{url.rpartition('/')[2]}"
    assert_not_found(await client.post(other, json=named))
    assert gate.asked == []
    assert (await client.post(url, json=named)).status_code == 429


async def test_repeated_request_of_a_run_that_was_made_is_not_asked_for_again(
    client: httpx.AsyncClient, request_of: tuple[str, Mapping[str, Any]], gate: ScriptedGate
) -> None:
    url, options = request_of
    first = await client.post(url, json=options, headers=KEY)
    gate.limit = Limit()
    again = await client.post(url, json=options, headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(gate.asked) == 1


async def test_gate_that_fails_lets_runs_pass(
    client: httpx.AsyncClient,
    request_of: tuple[str, Mapping[str, Any]],
    gate: ScriptedGate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate.failure = RuntimeError("the meter is on fire")
    url, options = request_of
    assert (await client.post(url, json=options)).status_code in {200, 201}
    assert "usage.gate_failed" in caplog.text


async def test_setting_names_the_factory_of_a_gate(settings: Settings, sessions: SessionFactory) -> None:
    named = settings.model_copy(update={"usage_gate": f"{__name__}:scripted_gate"})
    async with open_gates(named, sessions) as gates:
        assert [type(gate) for gate in gates] == [ScriptedGate]
    async with open_gates(settings, sessions) as gates:
        assert list(gates) == []


@pytest.mark.parametrize("place", ["nowhere_at_all:gate", f"{__name__}:missing"])
async def test_gate_that_cannot_be_loaded_is_refused(
    settings: Settings, sessions: SessionFactory, place: str
) -> None:
    named = settings.model_copy(update={"usage_gate": place})
    with pytest.raises(UsageGateInvalid, match="TASKBEACON_USAGE_GATE"):
        async with open_gates(named, sessions):
            pass
