"""Spans of requests and runs, as a collector gets them."""

import io
from contextlib import redirect_stderr

import httpx
import orjson
import pytest
from fastapi import FastAPI

from app.config import LogFormat
from app.db import unit_of_work
from app.models import Task
from app.observability import configure_logging
from app.services.retrying.policies import RUN_LEASE
from app.services.runs.run_lifecycle import claim
from app.worker.jobs.execute_run import execute_run
from app.worker.jobs.recover_runs import recover_runs
from tests.fixtures.worker import Workshop
from tests.support.callers import bearer
from tests.support.clock import MovableClock
from tests.support.factories import make_key
from tests.support.logs import kept_logging
from tests.support.stand_ins.collector import Collector
from tests.support.web.clients import in_process_client, socket_client
from tests.support.web.serving import serving

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_request_is_a_span_of_its_route_in_the_trace_of_its_caller(
    traced: Collector, client: httpx.AsyncClient, task: Task, tasks_url: str
) -> None:
    answer = await client.get(f"{tasks_url}/{task.id}/", headers={"traceparent": CALLER})

    taken = await traced.take("GET /api/projects/{project_id}/tasks/{task_id}")
    assert (taken.trace, taken.parent) == (CALLER[3:35], CALLER[36:52])
    assert taken.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/projects/{project_id}/tasks/{task_id}",
        "http.response.status_code": 200,
        "taskbeacon.request_id": answer.headers["x-request-id"],
    }
    assert not taken.has_failed


@pytest.mark.parametrize("header", [None, "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
async def test_request_without_a_trace_begins_one(
    traced: Collector, client: httpx.AsyncClient, header: str | None
) -> None:
    await client.get("/api/nothing", headers={} if header is None else {"traceparent": header})

    assert (await traced.take("GET unmatched")).parent == ""


async def test_request_that_the_caller_does_not_sample_is_not_sent(
    traced: Collector, client: httpx.AsyncClient
) -> None:
    await client.get("/api/first", headers={"traceparent": CALLER[:-1] + "0"})
    await client.get("/livez")
    await client.get("/api/second")

    await traced.take("GET unmatched")
    assert len(traced.spans) == 1


async def test_span_of_a_stream_ends_with_its_headers(
    traced: Collector,
    application: FastAPI,
    client: httpx.AsyncClient,
    tasks_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = f"{tasks_url.removesuffix('/tasks')}/events/stream"
    async with (
        serving(application) as url,
        socket_client(base_url=url, headers=client.headers) as caller,
        caller.stream("GET", path) as stream,
    ):
        assert stream.status_code == 200
        taken = await traced.take("GET /api/projects/{project_id}/events/stream")

    assert taken.attributes["http.response.status_code"] == 200
    assert [each.name for each in caplog.records if each.name.startswith("opentelemetry")] == []


async def test_log_lines_name_the_span_in_which_they_are_written(
    traced: Collector, client: httpx.AsyncClient
) -> None:
    with redirect_stderr(io.StringIO()) as written, kept_logging():
        configure_logging(LogFormat.JSON, "INFO")
        await client.get("/api/nothing", headers={"traceparent": CALLER})

    taken = await traced.take("GET unmatched")
    [line] = [orjson.loads(each) for each in written.getvalue().splitlines() if "http.request" in each]
    assert (line["trace_id"], line["span_id"]) == (taken.trace, taken.id)


async def test_run_that_lost_its_worker_goes_on_in_its_trace(
    traced: Collector, workshop: Workshop, shared_application: FastAPI, clock: MovableClock
) -> None:
    shared_application.state.process = workshop.context.process
    async with unit_of_work(workshop.sessions) as session:
        key = await make_key(session, user=workshop.owner)
    async with in_process_client(shared_application, headers=bearer(key)) as client:
        tasks = f"/api/projects/{workshop.project.id}/tasks"
        task = (await client.post(tasks, json={"title": "Say it", "description": "echo hello"})).json()
        started = await client.post(f"{tasks}/{task['id']}/run", headers={"traceparent": CALLER})
    run_id = started.json()["latest_run"]["id"]
    async with unit_of_work(workshop.sessions) as session:
        assert await claim(session, owner="lost", events=workshop.context.process.events)
    clock.advance(seconds=RUN_LEASE.total_seconds())
    await recover_runs(workshop.arq_context)

    await execute_run(workshop.arq_context, run_id=run_id)

    run = await traced.take("run")
    request = await traced.take("POST /api/projects/{project_id}/tasks/{task_id}/run")
    assert (run.trace, run.parent) == (CALLER[3:35], request.id)
    assert run.attributes == {"taskbeacon.run_id": run_id, "taskbeacon.attempt": 2}
